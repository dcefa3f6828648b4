// SPDX-License-Identifier: Apache-2.0
/**
 * Asks backends, each in its own rhythm, and tells what was decided. So many at a time and no more: beyond it they wait for
 * their turn, so slow backends cost others their rhythm and never the agent its memory. A backend is never asked twice at once.
 *
 * A host that stands in for the one that has the backend may be kept from it by policy, which would look like a dead backend.
 * So its silence counts only when the backend has answered it before, or when the backend's host does not answer either.
 */
import type { ConfigEntry } from '@weir/bus';
import { isIp } from '@weir/net';
import { Judge } from './judge.ts';
import type { Failure, Outcome } from './outcome.ts';
import type { Probe } from './probe.ts';
import { type Target, targetsOf } from './targets.ts';

export interface Verdict {
  readonly target: Target;
  /** Rises with each decision. */
  readonly sequence: number;
  readonly healthy: boolean;
  readonly reason: string;
  /** Unix milliseconds. */
  readonly decidedMs: number;
}

export interface CheckerOptions {
  readonly host: string;
  readonly probe: Probe;
  /** Whether one of these answers an ICMP echo. */
  readonly answers: (addresses: readonly string[], timeoutMs: number) => Promise<boolean>;
  readonly onVerdict: (verdict: Verdict) => void;
  readonly onOutcome?: (target: Target, outcome: Outcome) => void;
  readonly atOnceMax?: number;
}

/** Sockets of all probes under way. */
const AT_ONCE_MAX = 256;
/** What is new is asked soon, and not everything at once. */
const FIRST_MAX_MS = 1_000;
/** A twentieth more or less, so that hosts and backends do not fall into step. */
const JITTER = 0.05;

interface Asked {
  target: Target;
  readonly judge: Judge;
  timer: NodeJS.Timeout | undefined;
  verdict: Verdict | undefined;
  hasAnswered: boolean;
  isGone: boolean;
  lastMs: number;
  lastReason: string;
}

export class Checker {
  readonly #options: CheckerOptions;
  readonly #asked = new Map<string, Asked>();
  /** Subject of a service -> keys. */
  readonly #services = new Map<string, ReadonlySet<string>>();
  /** Id of a host -> its addresses between the hosts. */
  readonly #hosts = new Map<string, readonly string[]>();
  readonly #queue: Asked[] = [];
  #underWay = 0;
  #sequence = 0;
  #stopped = false;

  constructor(options: CheckerOptions) {
    this.#options = options;
  }

  reset(entries: readonly ConfigEntry[]): void {
    this.#hosts.clear();
    const left = new Set(this.#services.keys());
    for (const entry of entries) {
      left.delete(entry.subject);
      this.change(entry);
    }
    for (const subject of left) this.#follow(subject, new Map());
  }

  change({ kind, key, subject, removed, document: { body } }: ConfigEntry): void {
    if (kind === 'host') {
      if (removed || body.case !== 'host') this.#hosts.delete(key);
      else this.#hosts.set(key, [body.value.underlayIp4, body.value.underlayIp6].filter(isIp));
    }
    if (kind !== 'service') return;
    const isThere = !removed && body.case === 'service';
    this.#follow(subject, isThere ? targetsOf(body.value, this.#options.host) : new Map());
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** Everything that was decided, for those who may have missed it. */
  *verdicts(): Iterable<Verdict> {
    for (const { verdict } of this.#asked.values()) if (verdict) yield verdict;
  }

  /** What is asked, for whoever looks. */
  *facts(): Iterable<{
    readonly target: Target;
    readonly verdict: Verdict | undefined;
    readonly against: number;
    /** Unix milliseconds at which its last probe ended; 0: none did. */
    readonly lastMs: number;
    /** Of the last probe; empty: it was answered. */
    readonly lastReason: string;
  }> {
    for (const { target, verdict, judge, lastMs, lastReason } of this.#asked.values()) {
      yield { target, verdict, against: judge.against, lastMs, lastReason };
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const one of this.#asked.values()) clearTimeout(one.timer);
    this.#queue.length = 0;
  }

  #follow(subject: string, wanted: ReadonlyMap<string, Target>): void {
    for (const key of this.#services.get(subject) ?? []) if (!wanted.has(key)) this.#forget(key);
    if (wanted.size === 0) this.#services.delete(subject);
    else this.#services.set(subject, new Set(wanted.keys()));
    for (const [key, target] of wanted) {
      const had = this.#asked.get(key);
      if (had?.target.way === target.way) {
        had.target = target;
        continue;
      }
      this.#forget(key);
      this.#begin(target);
    }
  }

  #forget(key: string): void {
    const one = this.#asked.get(key);
    if (!one) return;
    this.#asked.delete(key);
    one.isGone = true;
    clearTimeout(one.timer);
    const at = this.#queue.indexOf(one);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  #begin(target: Target): void {
    if (this.#stopped) return;
    const one: Asked = {
      ...{ target, judge: new Judge(target.believed), timer: undefined, verdict: undefined },
      ...{ hasAnswered: false, isGone: false, lastMs: 0, lastReason: '' },
    };
    this.#asked.set(target.key, one);
    this.#askIn(one, Math.random() * Math.min(target.check.periodMs, FIRST_MAX_MS));
  }

  #askIn(one: Asked, ms: number): void {
    if (this.#stopped || one.isGone) return;
    one.timer = setTimeout(() => this.#due(one), ms);
    one.timer.unref();
  }

  #due(one: Asked): void {
    if (this.#underWay >= (this.#options.atOnceMax ?? AT_ONCE_MAX)) {
      this.#queue.push(one);
      return;
    }
    this.#underWay += 1;
    const startMs = performance.now();
    void this.#ask(one).finally(() => {
      this.#underWay -= 1;
      const next = this.#queue.shift();
      if (next && !this.#stopped) this.#due(next);
      const rhythmMs = one.target.check.periodMs * (1 - JITTER + Math.random() * 2 * JITTER);
      this.#askIn(one, Math.max(0, startMs + rhythmMs - performance.now()));
    });
  }

  async #ask(one: Asked): Promise<void> {
    const { target } = one;
    const { check, address, port } = target;
    const outcome = await this.#options.probe({ address, port, timeoutMs: check.timeoutMs }, check);
    if (this.#stopped || one.isGone) return;
    this.#options.onOutcome?.(target, outcome);
    one.lastMs = Date.now();
    one.lastReason = outcome.ok ? '' : outcome.reason;
    if (!outcome.ok && !(await this.#counts(one, outcome))) return;
    if (this.#stopped || one.isGone) return;
    one.hasAnswered ||= outcome.ok || outcome.isAnswer;
    if (!one.judge.note(outcome.ok, check)) return;
    this.#sequence += 1;
    one.verdict = {
      ...{ target, sequence: this.#sequence, healthy: outcome.ok, decidedMs: Date.now() },
      reason: outcome.ok ? '' : outcome.reason,
    };
    this.#options.onVerdict(one.verdict);
  }

  /** Whether a failure says something of the backend. */
  async #counts({ target, hasAnswered }: Asked, { isAnswer }: Failure): Promise<boolean> {
    const { hostId, check } = target;
    if (isAnswer || hasAnswered || hostId === '' || hostId === this.#options.host) return true;
    const addresses = this.#hosts.get(hostId) ?? [];
    return addresses.length === 0 || !(await this.#options.answers(addresses, check.timeoutMs));
  }
}
