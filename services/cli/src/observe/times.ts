// SPDX-License-Identifier: Apache-2.0
/** Times as `observe` reads and writes them, in Hubble's named formats; local time where a format has no zone. */
import { usage } from './filter.ts';

export const TIME_FORMATS = [
  'StampMilli',
  'YearMonthDay',
  'YearMonthDayHour',
  'YearMonthDayHourMinute',
  'RFC3339',
  'RFC3339Milli',
  'RFC3339Micro',
  'RFC3339Nano',
  'RFC1123Z',
] as const;
export type TimeFormat = (typeof TIME_FORMATS)[number];

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const two = (n: number): string => String(n).padStart(2, '0');

const zone = (date: Date, colon: string): string => {
  const minutes = -date.getTimezoneOffset();
  const sign = minutes < 0 ? '-' : '+';
  return `${sign}${two(Math.floor(Math.abs(minutes) / 60))}${colon}${two(Math.abs(minutes) % 60)}`;
};

/** RFC 3339 writes no offset as Z. */
const zoneOrZ = (date: Date): string => (date.getTimezoneOffset() === 0 ? 'Z' : zone(date, ':'));

const fraction = (time: string, digits: number): string =>
  (/\.(\d+)/.exec(time)?.[1] ?? '').padEnd(digits, '0').slice(0, digits);

/** `time`: RFC 3339, as the service gives it. */
export const formatTime = (time: string, format: TimeFormat): string => {
  const date = new Date(time);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  switch (format) {
    case 'StampMilli':
      return `${MONTHS[date.getMonth()]} ${two(date.getDate())} ${clock}.${fraction(time, 3)}`;
    case 'YearMonthDay':
      return day;
    case 'YearMonthDayHour':
      return `${day}T${two(date.getHours())}${zoneOrZ(date)}`;
    case 'YearMonthDayHourMinute':
      return `${day}T${two(date.getHours())}:${two(date.getMinutes())}${zoneOrZ(date)}`;
    case 'RFC3339':
      return `${day}T${clock}${zoneOrZ(date)}`;
    case 'RFC3339Milli':
      return `${day}T${clock}.${fraction(time, 3)}${zoneOrZ(date)}`;
    case 'RFC3339Micro':
      return `${day}T${clock}.${fraction(time, 6)}${zoneOrZ(date)}`;
    case 'RFC3339Nano':
      return `${day}T${clock}.${fraction(time, 9)}${zoneOrZ(date)}`;
    case 'RFC1123Z':
      return `${DAYS[date.getDay()]}, ${two(date.getDate())} ${MONTHS[date.getMonth()]} ${date.getFullYear()} ${clock} ${zone(date, '')}`;
  }
};

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };
const STAMP = /^([A-Z][a-z]{2}) +(\d{1,2}) (\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?)$/;
const DAY_PARTS = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2})(?::(\d{2}))?(Z|[+-]\d{2}:\d{2}))?$/;
const RFC1123 = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} [+-]\d{4}$/;
const RFC3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/;

const parsed = (text: string, nowMs: number): number => {
  if (RFC3339.test(text) || RFC1123.test(text)) return Date.parse(text);
  const stamp = STAMP.exec(text);
  if (stamp) return Date.parse(`${stamp[1]} ${stamp[2]} ${new Date(nowMs).getFullYear()} ${stamp[3]}`);
  const parts = DAY_PARTS.exec(text);
  if (parts)
    return Date.parse(parts[4] ? `${parts[1]}T${parts[2]}:${parts[3] ?? '00'}:00${parts[4]}` : `${parts[1]}T00:00:00`);
  return Number.NaN;
};

/** Milliseconds since 1970 of a time, or of how long ago. */
export const parseTimeMs = (flag: string, text: string, nowMs = Date.now()): number => {
  const [, amount, unit] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d|w)$/.exec(text) ?? [];
  if (amount !== undefined && unit !== undefined) return nowMs - Number(amount) * (UNIT_MS[unit] ?? 0);
  const ms = parsed(text, nowMs);
  if (Number.isNaN(ms))
    throw usage(
      `${flag}: ${text} is no time\n  fix: give how long ago (30s, 5m, 2h), or one of ${TIME_FORMATS.join(', ')}`,
    );
  return ms;
};

/** As the service takes it: how long ago and RFC 3339 as they are. */
export const timeForService = (flag: string, text: string): string =>
  /^\d[\d.]*(ms|s|m|h|d|w)$/.test(text) || RFC3339.test(text) ? text : new Date(parseTimeMs(flag, text)).toISOString();
