// SPDX-License-Identifier: Apache-2.0
/**
 * What becomes of a backend by its health check, and of what somebody asks beside it. Pure. A verdict moves a backend between
 * active and quarantined and nowhere else; a quarantine that somebody else set is not ended by it; whoever is made active while
 * his check fails is quarantined at once. One that came back may start slowly: with a tenth of its weight, then more and more.
 */
import { nextStanding, type Standing } from './backend-states.ts';
import type { BackendState } from './services.ts';

export type Verdict = '' | 'healthy' | 'unhealthy';

/** What of a row it is about. */
export interface BackendHealth extends Standing {
  readonly reason: string;
  /** It has its state since. */
  readonly since: Date;
  /** Host that asks it; empty: nobody can; null: its service has no health check. */
  readonly prober: string | null;
  readonly verdict: Verdict;
  readonly verdict_reason: string;
  readonly verdict_boot: bigint;
  readonly verdict_sequence: bigint;
  /** Quarantined because of the verdict. */
  readonly by_check: boolean;
  /** Tenths of its weight. */
  readonly share: number;
  readonly slow_since: Date | null;
}

/** What a host says of a backend that it asks. */
export interface Told {
  readonly boot: bigint;
  readonly sequence: bigint;
  readonly healthy: boolean;
  readonly reason: string;
}

/** For a moment at which something is decided. */
export interface Moment {
  readonly at: Date;
  /** Of the service's health check; 0: at once. */
  readonly slowStartMs: number;
}

const SHARES = 10;
const WHOLE = { share: SHARES, slow_since: null } as const;

/** Of a backend that nobody asks. */
export const UNASKED: Omit<BackendHealth, keyof Standing | 'reason' | 'since'> = {
  ...{ prober: null, verdict: '', verdict_reason: '', verdict_boot: 0n, verdict_sequence: 0n, by_check: false },
  ...WHOLE,
};

const CAME_BACK: readonly BackendState[] = ['quarantined', 'maintenance'];

/** `next` with what follows from its verdict, and from its having another state than `now`. */
const settle = <T extends BackendHealth>(now: BackendHealth, next: T, { at, slowStartMs }: Moment): T => {
  let settled: T = next;
  if (next.state === 'active' && next.verdict === 'unhealthy') {
    settled = { ...next, state: 'quarantined', by_check: true, reason: `health check: ${next.verdict_reason}` };
  } else if (next.state === 'quarantined' && next.by_check && next.verdict !== 'unhealthy') {
    settled = { ...next, state: 'active', by_check: false, reason: '' };
  }
  const { state } = settled;
  if (state === now.state) return { ...settled, since: now.since };
  const slow = state === 'active' && CAME_BACK.includes(now.state) && slowStartMs > 0;
  return { ...settled, since: at, ...(slow ? { share: 1, slow_since: at } : WHOLE) };
};

/** Of what is older than what is known, nothing comes. */
export const afterVerdict = <T extends BackendHealth>(now: T, told: Told, moment: Moment): T => {
  const { boot, sequence, healthy, reason } = told;
  const isNewer = boot > now.verdict_boot || (boot === now.verdict_boot && sequence > now.verdict_sequence);
  if (now.prober === null || !isNewer) return now;
  const verdict: Verdict = healthy ? 'healthy' : 'unhealthy';
  const known = { verdict, verdict_reason: healthy ? '' : reason, verdict_boot: boot, verdict_sequence: sequence };
  return settle(now, { ...now, ...known }, moment);
};

/** Somebody asks for a state or a weight; throws CONFLICT for what can't be. `path`: of the fields in the request. */
export const afterChange = <T extends BackendHealth>(
  now: T,
  asked: { readonly state?: BackendState; readonly weight?: number; readonly reason?: string },
  moment: Moment,
  path = '',
): T => {
  const { state, weight } = nextStanding(now, asked, path);
  const kept = state === now.state ? now.reason : '';
  const by_check = now.by_check && asked.state === undefined && state === 'quarantined';
  return settle(now, { ...now, state, weight, by_check, reason: asked.reason ?? kept }, moment);
};

/** Its service has a health check no more. */
export const unasked = <T extends BackendHealth>(now: T, moment: Moment): T =>
  now.prober === null ? now : settle(now, { ...now, ...UNASKED, by_check: now.by_check }, moment);

/** Its service has one: `prober` asks it, whose verdicts count from now on. */
export const askedBy = <T extends BackendHealth>(now: T, prober: string): T =>
  now.prober === prober ? now : { ...now, prober, verdict_boot: 0n, verdict_sequence: 0n };

/** A while later. */
export const ramped = <T extends BackendHealth>(now: T, { at, slowStartMs }: Moment): T => {
  if (now.slow_since === null) return now;
  const elapsed = at.getTime() - now.slow_since.getTime();
  const share = slowStartMs > 0 ? Math.min(SHARES, 1 + Math.floor(((SHARES - 1) * elapsed) / slowStartMs)) : SHARES;
  if (share >= SHARES) return { ...now, ...WHOLE };
  return share > now.share ? { ...now, share } : now;
};

/** What tables are made with. */
export const effectiveWeight = ({ weight, share }: Pick<BackendHealth, 'weight' | 'share'>): number =>
  Math.ceil((weight * share) / SHARES);

export const healthOf = ({ prober, verdict }: Pick<BackendHealth, 'prober' | 'verdict'>): string | null =>
  prober === null ? null : verdict === '' ? 'unknown' : verdict;
