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
  readonly reconciler: Reconciler;
  readonly onProblem: (problem: string) => void;
  readonly onTrouble: (what: string, cause: unknown) => void;
}

const DRIFT_MS = 5_000;
const MONITOR_DEBOUNCE_MS = 100;

export class Inspector {
  readonly #options: InspectorOptions;
  readonly #loop: Loop;
  readonly #monitor: { stop(): Promise<void> };
  #soon: NodeJS.Timeout | undefined;

  constructor(options: InspectorOptions) {
    this.#options = options;
    const failed = (error: unknown): void => options.onTrouble('the host could not be inspected', error);
    this.#loop = every(DRIFT_MS, () => this.inspect(), failed);
    this.#monitor = options.platform.monitor(() => {
      this.#soon ??= setTimeout(() => {
        this.#soon = undefined;
        // Addresses of the host may have changed although nothing is wrong.
        this.inspect().then(() => options.reconciler.trigger(), failed);
      }, MONITOR_DEBOUNCE_MS);
    });
  }

  async inspect(): Promise<void> {
    const { host, platform, reconciler, onProblem } = this.#options;
    const problems = await reconciler.exclusively(async () => [
      ...(await host.inspect()),
      ...(await platform.repairPins()).map((name) => `the pin of map '${name}' was removed`),
    ]);
    if (problems.length === 0) return;
    counter('weir_agent_repairs_total').add(problems.length);
    for (const problem of problems) onProblem(problem);
    reconciler.trigger();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#soon);
    await this.#monitor.stop();
    await this.#loop.stop();
  }
}
