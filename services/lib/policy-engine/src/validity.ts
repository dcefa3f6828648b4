// SPDX-License-Identifier: Apache-2.0
/**
 * When a document counts: between two instants, and on some hours of the week in a time zone. Out of its time it is as if its mode was off.
 * Pure: whoever judges says what time it is. Local time is what clocks on the wall show there, so an hour that a change of clocks repeats is in a
 * window twice, and one that it leaves out never.
 */
import type { PolicyDocument } from './model.ts';

/** Of each of the days, minutes since local midnight. One that ends before it begins goes on into the next day. */
export interface Window {
  /** 0 = Sunday. */
  readonly days: readonly number[];
  readonly fromMinute: number;
  /** Exclusive; 1440 = the end of the day. */
  readonly toMinute: number;
}

export interface Validity {
  /** Milliseconds of Unix time, inclusive. */
  readonly notBefore?: number;
  /** Exclusive. */
  readonly notAfter?: number;
  readonly windows?: readonly Window[];
  /** Of the windows; a name of the IANA database. */
  readonly timeZone?: string;
}

/** `unsure`: the clock cannot be right, so nobody knows. */
export type Standing = 'in-force' | 'not-yet' | 'over' | 'outside-schedule' | 'unsure';

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1440;
const WEEK_MINUTES = 7 * DAY_MINUTES;
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

const formats = new Map<string, Intl.DateTimeFormat>();
const formatOf = (timeZone: string): Intl.DateTimeFormat => {
  let format = formats.get(timeZone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      ...{ timeZone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
    });
    formats.set(timeZone, format);
  }
  return format;
};

export const isTimeZone = (name: string): boolean => {
  try {
    formatOf(name);
    return true;
  } catch {
    return false;
  }
};

/** Minutes since local midnight between Saturday and Sunday. */
const minuteOfWeek = (nowMs: number, timeZone: string): number => {
  const parts = new Map(
    formatOf(timeZone)
      .formatToParts(nowMs)
      .map(({ type, value }) => [type, value]),
  );
  const day = DAYS.indexOf(parts.get('weekday') ?? '');
  return day * DAY_MINUTES + Number(parts.get('hour')) * 60 + Number(parts.get('minute'));
};

const lengthOf = ({ fromMinute, toMinute }: Window): number =>
  toMinute > fromMinute ? toMinute - fromMinute : toMinute + DAY_MINUTES - fromMinute;

const isInside = (windows: readonly Window[], minute: number): boolean =>
  windows.some((window) =>
    window.days.some((day) => {
      const since = (minute - day * DAY_MINUTES - window.fromMinute + 2 * WEEK_MINUTES) % WEEK_MINUTES;
      return since < lengthOf(window);
    }),
  );

export const standingAt = (validity: Validity, nowMs: number): Exclude<Standing, 'unsure'> => {
  const { notBefore, notAfter, windows, timeZone = 'UTC' } = validity;
  if (notAfter !== undefined && nowMs >= notAfter) return 'over';
  if (notBefore !== undefined && nowMs < notBefore) return 'not-yet';
  if (!windows || isInside(windows, minuteOfWeek(nowMs, timeZone))) return 'in-force';
  return 'outside-schedule';
};

/** How far windows can keep a document from changing: more changes than this in a row are of adjoining ones. */
const TRIES = 64;

/** When a window begins or ends next, on the wall; a change of clocks in between is looked at twice. */
const nextEdge = (windows: readonly Window[], timeZone: string, afterMs: number): number | undefined => {
  const start = Math.floor(afterMs / MINUTE_MS) * MINUTE_MS;
  const minute = minuteOfWeek(start, timeZone);
  const edges = windows.flatMap((window) =>
    window.days.flatMap((day) => {
      const from = day * DAY_MINUTES + window.fromMinute;
      return [from, from + lengthOf(window)];
    }),
  );
  const ahead = edges.map((edge) => ((edge - minute - 1 + 2 * WEEK_MINUTES) % WEEK_MINUTES) + 1);
  if (ahead.length === 0) return undefined;
  const nearest = Math.min(...ahead);
  const goal = (minute + nearest) % WEEK_MINUTES;
  let at = start + nearest * MINUTE_MS;
  for (let again = 0; again < 2; again++) {
    const off =
      ((goal - minuteOfWeek(at, timeZone) + WEEK_MINUTES + WEEK_MINUTES / 2) % WEEK_MINUTES) - WEEK_MINUTES / 2;
    if (at + off * MINUTE_MS > afterMs) at += off * MINUTE_MS;
  }
  return at;
};

/** The next instant at which the document stands otherwise; undefined: it stays as it is. */
export const nextChange = (validity: Validity, nowMs: number): number | undefined => {
  const { notBefore, notAfter, windows, timeZone = 'UTC' } = validity;
  const standing = standingAt(validity, nowMs);
  if (standing === 'over') return undefined;
  let at = nowMs;
  for (let tries = 0; tries < TRIES; tries++) {
    const edge = windows && nextEdge(windows, timeZone, at);
    const ahead = [notBefore, notAfter, edge].filter((one) => one !== undefined && one > at) as number[];
    if (ahead.length === 0) return undefined;
    at = Math.min(...ahead);
    if (standingAt(validity, at) !== standing) return at;
  }
  return undefined;
};

const outOfTime = new WeakMap<PolicyDocument, PolicyDocument>();
const unsure = new WeakMap<PolicyDocument, PolicyDocument>();

const kept = (
  cache: WeakMap<PolicyDocument, PolicyDocument>,
  doc: PolicyDocument,
  make: () => PolicyDocument,
): PolicyDocument => {
  let made = cache.get(doc);
  if (!made) {
    made = make();
    cache.set(doc, made);
  }
  return made;
};

/** As nobody may be let in by it, and everybody refused whom it refuses. */
const withoutAllows = (doc: PolicyDocument): PolicyDocument => ({
  ...doc,
  specs: doc.specs.map((spec) => ({ ...spec, rules: spec.rules.filter(({ action }) => action === 'deny') })),
});

/**
 * The document as it counts at that time: itself, or with its mode off. `floorMs`: when the control plane has made this version; a clock
 * that says less is wrong, and then what the document allows is not allowed, and what it refuses is refused.
 */
export const inItsTime = (doc: PolicyDocument, nowMs: number, floorMs = 0): PolicyDocument => {
  const { validity } = doc;
  if (!validity || doc.mode === 'off') return doc;
  if (nowMs < floorMs) return kept(unsure, doc, () => withoutAllows(doc));
  if (standingAt(validity, nowMs) === 'in-force') return doc;
  return kept(outOfTime, doc, () => ({ ...doc, mode: 'off' }));
};

/** Policies as they count at that time. */
export const inTheirTime = <T extends { readonly doc: PolicyDocument }>(
  policies: readonly T[],
  nowMs: number,
): readonly T[] =>
  policies.some(({ doc }) => doc.validity)
    ? policies.map((policy) => {
        const doc = inItsTime(policy.doc, nowMs);
        return doc === policy.doc ? policy : { ...policy, doc };
      })
    : policies;
