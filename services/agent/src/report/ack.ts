// SPDX-License-Identifier: Apache-2.0
/**
 * Tells the fleet what stands in this host's kernel. Level-triggered: only the newest report matters, one is under way
 * at a time, and one that failed is overtaken or said again.
 */
import { type Bus, publishAck, subjects } from '@weir/bus';
import type { Report } from './report.ts';
import type { Stages } from './stages.ts';

export interface AckOptions {
  readonly host: string;
  readonly boot: bigint;
  readonly stages: Pick<Stages, 'recent' | 'acknowledged'>;
  readonly onFailure?: (error: unknown) => void;
}

const RETRY_MS = 1_000;
/** Inventory and policy keep what is said per document; a host with thousands wrong says the first. */
const ERRORS_MAX = 200;

export class AckReporter {
  readonly #options: AckOptions;
  #bus: Bus | undefined;
  #latest: Report | undefined;
  #said = '';
  #count = 0;
  #sending = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: AckOptions) {
    this.#options = options;
  }

  connect(bus: Bus): void {
    this.#bus = bus;
    this.again();
  }

  say(report: Report): void {
    this.#latest = report;
    void this.#send();
  }

  /** The bus may have lost what was said. */
  again(): void {
    this.#said = '';
    void this.#send();
  }

  stop(): void {
    clearTimeout(this.#retry);
    this.#bus = undefined;
  }

  async #send(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    try {
      while (this.#bus && this.#latest) {
        const report = this.#latest;
        const content = JSON.stringify(report, (_, value) => (typeof value === 'bigint' ? String(value) : value));
        if (content === this.#said) return;
        await this.#publish(this.#bus, report);
        this.#said = content;
      }
    } catch (error) {
      this.#options.onFailure?.(error);
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => void this.#send(), RETRY_MS);
    } finally {
      this.#sending = false;
    }
  }

  async #publish(bus: Bus, { realised, tried, errors, workloads, runtime }: Report): Promise<void> {
    const { host, boot, stages } = this.#options;
    const told = stages.recent();
    const bytes = subjects.ack.encode({
      boot,
      realised: { ...realised },
      tried: { ...tried },
      errors: errors.slice(0, ERRORS_MAX).map((error) => ({ ...error })),
      timeMs: BigInt(Date.now()),
      workloads: workloads.map((workload) => ({ ...workload })),
      stages: told.map((stage) => ({ ...stage })),
      runtimePolicies: runtime.map(({ subject, revision, state, hooks }) => ({
        ...{ subject, revision, state },
        hooks: hooks.map(({ enforces, limits, ...hook }) => ({
          ...hook,
          enforces: [...enforces],
          limits: [...limits],
        })),
      })),
    });
    this.#count++;
    await publishAck(bus.js, subjects.ack.build({ host }), bytes, `${host}:${boot}:ack:${this.#count}`);
    stages.acknowledged(told);
  }
}
