// SPDX-License-Identifier: Apache-2.0
/** Times as callers write them: RFC 3339, or how long ago. Inside they are microseconds, exact in a double. */
import { weirError } from '@weir/errors';

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};
const DURATION = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d|w)$/;
const RFC3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/;
const US_PER_MS = 1_000;

const refuse = (field: string, value: string): never => {
  throw weirError('INVALID_ARGUMENT', `${field} ${JSON.stringify(value)} is neither a time nor a duration`, {
    field,
    value,
    fix: 'write a time such as 2026-08-01T12:00:00Z or how long ago, such as 30s, 5m, 1h, 7d',
  });
};

/** Milliseconds of `5m`; undefined when it is not a duration. */
export const durationMs = (text: string): number | undefined => {
  const match = DURATION.exec(text);
  if (match === null) return undefined;
  return Math.round(Number(match[1]) * (UNIT_MS[match[2] as string] as number));
};

/** Unix microseconds of a time, or of a duration before `nowMs`. */
export const parseTimeUs = (field: string, text: string, nowMs: number): number => {
  const ago = durationMs(text);
  if (ago !== undefined) return (nowMs - ago) * US_PER_MS;
  const match = RFC3339.exec(text);
  if (match === null) return refuse(field, text);
  const fraction = match[1] ?? '';
  const wholeMs = Date.parse(text.replace(fraction, '').replace(' ', 'T').toUpperCase());
  if (Number.isNaN(wholeMs)) return refuse(field, text);
  return wholeMs * US_PER_MS + Math.floor(Number(`0${fraction || '.0'}`) * 1_000_000 + 1e-6);
};

/** 2026-08-01T12:00:00.123456Z */
export const formatTimeUs = (us: number): string => {
  const ms = Math.floor(us / US_PER_MS);
  const rest = us - ms * US_PER_MS;
  return `${new Date(ms).toISOString().slice(0, -1)}${String(rest).padStart(3, '0')}Z`;
};
