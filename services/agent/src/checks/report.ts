// SPDX-License-Identifier: Apache-2.0
/**
 * Verdicts to the bus. Those that come together are one message. Nothing is acknowledged, so each is said again a few times, in
 * growing distances, and everything once a minute and when the bus is back: what was lost is made good by then at the latest,
 * and inventory takes what it knows already for nothing new.
 */
import { type Bus, subjects } from '@weir/bus';
import type { Checker, Verdict } from './checker.ts';

/** Verdicts of one message: 100 kB at most. */
const AT_ONCE = 1_000;
const AGAIN_MS = [1_000, 3_000, 9_000];
const REFRESH_MS = 60_000;
const REASON_MAX = 80;

export interface CheckReporterOptions {
  readonly host: string;
  readonly boot: bigint;
  /** While it is connected. */
  readonly bus: () => Pick<Bus, 'nc'> | undefined;
}

export class CheckReporter {
  readonly #options: CheckReporterOptions;
  readonly #fresh = new Map<string, Verdict>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #isDue = false;
  #refreshing: NodeJS.Timeout | undefined;

  constructor(options: CheckReporterOptions) {
    this.#options = options;
  }

  /** From now on everything is said again and again. */
  follow(checker: Pick<Checker, 'verdicts'>): void {
    const spread = REFRESH_MS * (0.9 + Math.random() * 0.2);
    this.#refreshing = setTimeout(() => {
      this.all(checker);
      this.follow(checker);
    }, spread);
    this.#refreshing.unref();
  }

  say(verdict: Verdict): void {
    this.#fresh.set(verdict.target.key, verdict);
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      const verdicts = [...this.#fresh.values()];
      this.#fresh.clear();
      this.#publish(verdicts);
      for (const ms of AGAIN_MS) this.#in(ms, () => this.#publish(verdicts));
    });
  }

  all(checker: Pick<Checker, 'verdicts'>): void {
    this.#publish([...checker.verdicts()]);
  }

  stop(): void {
    clearTimeout(this.#refreshing);
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #in(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    timer.unref();
    this.#timers.add(timer);
  }

  #publish(verdicts: readonly Verdict[]): void {
    const nc = this.#options.bus()?.nc;
    if (nc === undefined || nc.isClosed()) return;
    const { host, boot } = this.#options;
    for (let at = 0; at < verdicts.length; at += AT_ONCE) {
      const bytes = subjects.check.encode({
        boot,
        verdicts: verdicts.slice(at, at + AT_ONCE).map(({ target, sequence, healthy, reason, decidedMs }) => ({
          ...{ service: target.service, backend: target.backend, sequence: BigInt(sequence), healthy },
          ...{ reason: reason.slice(0, REASON_MAX), decidedMs: BigInt(decidedMs) },
        })),
      });
      nc.publish(subjects.check.build({ host }), bytes);
    }
  }
}
