// SPDX-License-Identifier: Apache-2.0
/**
 * Looks whether somebody took away or changed what the agent made: interfaces, programs, pins, map entries. On a timer,
 * and soon after the kernel announces that an interface or an address went.
 */
import { counter } from '@weir/telemetry';
import type { HostDatapath } from '../apply/host.ts';
import type { Platform } from '../platform.ts';
import { every, type Loop } from './every.ts';
import type { Reconciler } from './reconciler.ts';

export interface InspectorOptions {
  readonly platform: Pick<Platform, 'monitor' | 'repairPins' | 'hostAddresses'>;
  readonly host: HostDatapath;
  /** Beside the datapath: says what was wrong and is put back. */
  readonly others: () => Promise<readonly string[]>;
  readonly reconciler: Reconciler;
  readonly onProblem: (problem: string) => void;
  readonly onTrouble: (what: string, cause: unknown) => void;
}

const DRIFT_MS = 5_000;
const MONITOR_DEBOUNCE_MS = 100;
/** Settling holds the lock of all network configuration for some 20 ms a time: only when nothing else is to do. */
const SETTLE_MS = 25;
const SETTLE_IDLE_MS = 50;

/** Of these, status shows the newest. */
const REPAIRS_KEPT = 20;

export interface Repair {
  /** Unix milliseconds. */
  readonly timeMs: number;
  readonly problem: string;
}

export class Inspector {
  readonly #options: InspectorOptions;
  readonly #loops: readonly Loop[];
  readonly #monitor: { stop(): Promise<void> };
  #soon: NodeJS.Timeout | undefined;
  #total = 0;
  #recent: readonly Repair[] = [];

  constructor(options: InspectorOptions) {
    this.#options = options;
    const failed = (error: unknown): void => options.onTrouble('the host could not be inspected', error);
    this.#loops = [every(DRIFT_MS, () => this.inspect(), failed), every(SETTLE_MS, () => this.#settle(), failed)];
    this.#monitor = options.platform.monitor(() => {
      this.#soon ??= setTimeout(() => {
        this.#soon = undefined;
        // Addresses of the host may have changed although nothing is wrong.
        this.inspect().then(() => options.reconciler.trigger(), failed);
      }, MONITOR_DEBOUNCE_MS);
    });
  }

  /** What somebody took away or changed behind this agent, and was put back. */
  get repairs(): { readonly total: number; readonly recent: readonly Repair[] } {
    return { total: this.#total, recent: this.#recent };
  }

  async inspect(): Promise<void> {
    const { host, platform, others, reconciler, onProblem } = this.#options;
    const problems = await reconciler.exclusively(async () => [
      // First, because it puts back a file system that was unmounted.
      ...(await platform.repairPins()).map((name) => `the pin of map '${name}' was removed`),
      ...(await host.inspect()),
      ...(await others()),
    ]);
    if (problems.length === 0) return;
    counter('weir_agent_repairs_total').add(problems.length);
    const timeMs = Date.now();
    this.#total += problems.length;
    this.#recent = [...this.#recent, ...problems.map((problem) => ({ timeMs, problem }))].slice(-REPAIRS_KEPT);
    for (const problem of problems) onProblem(problem);
    reconciler.trigger();
  }

  async #settle(): Promise<void> {
    const { host, reconciler } = this.#options;
    if (host.unsettled === 0 || reconciler.idleMs < SETTLE_IDLE_MS) return;
    await reconciler.exclusively(() => host.settle());
  }

  async stop(): Promise<void> {
    clearTimeout(this.#soon);
    await this.#monitor.stop();
    for (const loop of this.#loops) await loop.stop();
  }
}
