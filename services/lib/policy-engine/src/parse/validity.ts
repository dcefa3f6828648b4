// SPDX-License-Identifier: Apache-2.0
/**
 * `validity` of our own documents, annotations of all others: notBefore, notAfter (RFC 3339), schedule (texts such as `Mon-Fri 08:00-18:00`)
 * and its timeZone.
 */
import { isTimeZone, type Validity, type Window } from '../validity.ts';
import { type Context, type Field, type Fields, readList, readObject, readString } from './reader.ts';

export const VALIDITY_FIELDS = ['notBefore', 'notAfter', 'schedule', 'timeZone'];

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,3})?(Z|[+-]\d{2}:\d{2})$/;
const WINDOW = /^(?:([A-Z][a-z]{2})(?:-([A-Z][a-z]{2}))?\s+)?(\d{2}):(\d{2})-(\d{2}):(\d{2})$/;
const MAX_WINDOWS = 50;

const readInstant = (context: Context, field: Field): number | undefined => {
  const text = readString(context, field);
  if (text === undefined) return undefined;
  const [year, month, day] = text.slice(0, 10).split('-').map(Number) as [number, number, number];
  const exists = INSTANT.test(text) && new Date(Date.UTC(year, month, 0)).getUTCDate() >= day;
  const at = exists ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(at)) return at;
  context.issues.add(field.path, field.node.at, `${JSON.stringify(text)} is no instant`, {
    value: text.slice(0, 100),
    fix: 'write it as RFC 3339 does, with an offset: 2026-11-23T18:00:00Z, 2026-11-23T19:00:00+01:00',
  });
  return undefined;
};

const daysOf = (first: string | undefined, last: string | undefined): number[] | undefined => {
  if (first === undefined) return [0, 1, 2, 3, 4, 5, 6];
  const from = DAYS.indexOf(first);
  const to = last === undefined ? from : DAYS.indexOf(last);
  if (from < 0 || to < 0) return undefined;
  return Array.from({ length: ((to - from + 7) % 7) + 1 }, (_, at) => (from + at) % 7);
};

const minutesOf = (hour: string | undefined, minute: string | undefined, endOfDay: boolean): number | undefined => {
  const minutes = Number(hour) * 60 + Number(minute);
  return Number(minute) < 60 && (minutes < 1440 || (endOfDay && minutes === 1440)) ? minutes : undefined;
};

const readWindow = (context: Context, field: Field, text: string): Window | undefined => {
  const match = WINDOW.exec(text.trim());
  const days = match ? daysOf(match[1], match[2]) : undefined;
  const fromMinute = match ? minutesOf(match[3], match[4], false) : undefined;
  const toMinute = match ? minutesOf(match[5], match[6], true) : undefined;
  if (days && fromMinute !== undefined && toMinute !== undefined && fromMinute !== toMinute) {
    return { days, fromMinute, toMinute };
  }
  context.issues.add(field.path, field.node.at, `${JSON.stringify(text)} is no window of a week`, {
    value: text.slice(0, 100),
    fix: 'write days, if not all, and two times: "Mon-Fri 08:00-18:00", "Sat 22:00-06:00", "00:00-24:00"',
  });
  return undefined;
};

const readTimeZone = (context: Context, field: Field): string | undefined => {
  const name = readString(context, field);
  if (name === undefined) return undefined;
  if (name.length <= 64 && isTimeZone(name)) return name;
  context.issues.add(field.path, field.node.at, `${JSON.stringify(name.slice(0, 64))} is no time zone`, {
    value: name.slice(0, 100),
    fix: 'use a name of the IANA database, such as Europe/Berlin or UTC',
  });
  return undefined;
};

interface Written {
  readonly notBefore: Field | undefined;
  readonly notAfter: Field | undefined;
  readonly timeZone: Field | undefined;
  readonly schedule: Field | undefined;
  readonly windows: (schedule: Field) => readonly (readonly [Field, string])[];
}

const read = (context: Context, { notBefore, notAfter, timeZone, schedule, windows }: Written): Validity => {
  const from = notBefore && readInstant(context, notBefore);
  const to = notAfter && readInstant(context, notAfter);
  if (notAfter && from !== undefined && to !== undefined && to <= from) {
    context.issues.add(notAfter.path, notAfter.node.at, 'ends before it begins', {
      fix: 'write a notAfter that is later than notBefore',
    });
  }
  const zone = timeZone && readTimeZone(context, timeZone);
  if (timeZone && !schedule) {
    context.issues.add(timeZone.path, timeZone.keyAt, 'is for a schedule, and there is none', {
      fix: 'write schedule, or remove it',
    });
  }
  const written = schedule ? windows(schedule) : [];
  if (schedule && (written.length === 0 || written.length > MAX_WINDOWS)) {
    context.issues.add(schedule.path, schedule.node.at, `must have 1 to ${MAX_WINDOWS} windows`, {
      value: written.length,
      fix: 'write windows such as "Mon-Fri 08:00-18:00", or remove it',
    });
  }
  const found = written
    .slice(0, MAX_WINDOWS)
    .map(([field, text]) => readWindow(context, field, text))
    .filter((window) => window !== undefined);
  return {
    ...(from === undefined ? {} : { notBefore: from }),
    ...(to === undefined ? {} : { notAfter: to }),
    ...(schedule ? { windows: found } : {}),
    ...(zone === undefined ? {} : { timeZone: zone }),
  };
};

/** `validity` of a spec of ours. */
export const readValidity = (context: Context, field: Field): Validity | undefined => {
  const fields: Fields | undefined = readObject(context, field, { fields: VALIDITY_FIELDS });
  if (!fields) return undefined;
  if (VALIDITY_FIELDS.every((name) => !fields.get(name))) {
    context.issues.add(field.path, field.keyAt, 'says no time', { fix: 'write notBefore, notAfter or schedule' });
    return undefined;
  }
  return read(context, {
    ...{ notBefore: fields.get('notBefore'), notAfter: fields.get('notAfter') },
    ...{ timeZone: fields.get('timeZone'), schedule: fields.get('schedule') },
    windows: (schedule) =>
      (readList(context, schedule) ?? []).flatMap((item) => {
        const text = readString(context, item);
        return text === undefined ? [] : [[item, text] as const];
      }),
  });
};

/** The same of annotations, the windows of a schedule apart by semicolons. */
export const annotatedValidity = (
  context: Context,
  annotation: (name: 'not-before' | 'not-after' | 'schedule' | 'time-zone') => Field | undefined,
): Validity | undefined => {
  const fields = {
    ...{ notBefore: annotation('not-before'), notAfter: annotation('not-after') },
    ...{ timeZone: annotation('time-zone'), schedule: annotation('schedule') },
  };
  if (Object.values(fields).every((field) => field === undefined)) return undefined;
  return read(context, {
    ...fields,
    windows: (schedule) =>
      (readString(context, schedule) ?? '')
        .split(';')
        .filter((text) => text.trim() !== '')
        .map((text) => [schedule, text] as const),
  });
};
