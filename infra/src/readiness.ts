// SPDX-License-Identifier: Apache-2.0
/** Waits for many workloads at once with one listing for all of them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { weirError } from '@weir/errors';
import { callAll } from './api.ts';

interface Listed {
  readonly id: string;
  readonly state: string;
  readonly state_message?: string;
}

interface Waiting {
  readonly until: number;
  last: string;
  resolve(): void;
  reject(error: Error): void;
}

/** Of listings; hundreds of workloads in one make themselves felt. */
const POLL_MS = 50;

export class Readiness {
  readonly #inventoryUrl: () => string;
  readonly #waiting = new Map<string, Waiting>();
  #isPolling = false;

  constructor(inventoryUrl: () => string) {
    this.#inventoryUrl = inventoryUrl;
  }

  /** Resolves when the workload's host says of its identity of now that it is in force. */
  of(id: string, timeoutMs: number): Promise<void> {
    const waited = new Promise<void>((resolve, reject) => {
      this.#waiting.set(id, { until: Date.now() + timeoutMs, last: 'not listed', resolve, reject });
    });
    if (!this.#isPolling) void this.#poll();
    return waited;
  }

  async #poll(): Promise<void> {
    this.#isPolling = true;
    while (this.#waiting.size > 0) {
      const started = performance.now();
      let failure = '';
      try {
        for (const listed of await this.#listed()) {
          const waiting = this.#waiting.get(listed.id);
          if (!waiting) continue;
          waiting.last = `${listed.state} ${listed.state_message ?? ''}`;
          if (listed.state !== 'ready') continue;
          this.#waiting.delete(listed.id);
          waiting.resolve();
        }
      } catch (error) {
        failure = String(error);
      }
      for (const [id, { until, last, reject }] of this.#waiting) {
        if (Date.now() < until) continue;
        this.#waiting.delete(id);
        reject(weirError('UNAVAILABLE', `waited for workload ${id} to be ready: ${last} ${failure}`));
      }
      await sleep(POLL_MS + (performance.now() - started));
    }
    this.#isPolling = false;
  }

  async #listed(): Promise<readonly Listed[]> {
    return callAll<Listed>(`${this.#inventoryUrl()}/v1/workloads?limit=1000`);
  }
}
