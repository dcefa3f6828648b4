// SPDX-License-Identifier: Apache-2.0
/** When documents count: instants, hours of the week in a time zone, changes of clocks, clocks that are wrong; and what is refused. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  explain,
  inItsTime,
  lintPolicies,
  nextChange,
  type PolicyDocument,
  standingAt,
  type Validity,
} from '../src/index.ts';
import { createFleet, parseOk } from './fleet.ts';
import { type Refusal, testRefusal } from './refusal.ts';

const ours = (
  validity: string,
  rules = 'ingress: [{action: Allow, fromEndpoints: [{matchLabels: {app: cli}}]}]',
): string =>
  `apiVersion: weir.io/v1\nkind: FirewallPolicy\nmetadata: {name: p, namespace: default}\nspec:\n  endpointSelector: {matchLabels: {app: web}}\n  validity: ${validity}\n  ${rules}\n`;
const read = (validity: string): Validity => parseOk(ours(validity))[0]?.validity as Validity;
const at = (text: string): number => Date.parse(text);
const stands = (validity: Validity, ...times: string[]) => times.map((time) => standingAt(validity, at(time)));

describe('validity', () => {
  test('from an instant to another, the first included', () => {
    const validity = read('{notBefore: "2026-11-23T08:00:00Z", notAfter: "2026-11-23T19:00:00+01:00"}');
    assert.deepEqual(
      stands(
        validity,
        '2026-11-23T07:59:59.999Z',
        '2026-11-23T08:00:00Z',
        '2026-11-23T17:59:59Z',
        '2026-11-23T18:00:00Z',
      ),
      ['not-yet', 'in-force', 'in-force', 'over'],
    );
    assert.equal(nextChange(validity, at('2026-11-01T00:00:00Z')), validity.notBefore);
    assert.equal(nextChange(validity, at('2026-11-23T10:00:00Z')), validity.notAfter);
    assert.equal(nextChange(validity, at('2026-11-24T00:00:00Z')), undefined);
  });

  test('hours of the week where the wall clock shows them, over midnight and over the end of the week', () => {
    const office = read('{schedule: ["Mon-Fri 08:00-18:00", "Sat 22:00-06:00"], timeZone: Europe/Berlin}');
    const out = 'outside-schedule';
    // Monday in winter, then in summer: an hour earlier by UTC
    assert.deepEqual(stands(office, '2026-11-23T06:59:00Z', '2026-11-23T07:00:00Z', '2026-11-23T17:00:00Z'), [
      out,
      'in-force',
      out,
    ]);
    assert.deepEqual(stands(office, '2026-07-20T05:59:00Z', '2026-07-20T06:00:00Z'), [out, 'in-force']);
    // Saturday night into Sunday
    assert.deepEqual(
      stands(office, '2026-11-28T20:59:00Z', '2026-11-28T21:00:00Z', '2026-11-29T04:59:00Z', '2026-11-29T05:00:00Z'),
      [out, 'in-force', 'in-force', out],
    );
    assert.equal(nextChange(office, at('2026-11-27T17:30:00Z')), at('2026-11-28T21:00:00Z'));
    assert.equal(nextChange(office, at('2026-11-29T12:00:00Z')), at('2026-11-30T07:00:00Z'));
    assert.deepEqual(stands(read('{schedule: ["00:00-24:00"]}'), '2026-11-23T23:59:59Z', '2026-11-24T00:00:00Z'), [
      'in-force',
      'in-force',
    ]);
    assert.equal(nextChange(read('{schedule: ["00:00-24:00"]}'), at('2026-11-23T12:00:00Z')), undefined);
  });

  test('a change of clocks: an hour that is repeated counts twice, one that is left out never', () => {
    const night = read('{schedule: ["Sun 02:00-03:00"], timeZone: Europe/Berlin}');
    assert.deepEqual(stands(night, '2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z', '2026-10-25T02:00:00Z'), [
      ...['in-force', 'in-force', 'outside-schedule'],
    ]);
    assert.deepEqual(stands(night, '2026-03-29T00:59:00Z', '2026-03-29T01:00:00Z'), [
      'outside-schedule',
      'outside-schedule',
    ]);
    const evening = read('{schedule: ["Sun 20:00-21:00"], timeZone: Europe/Berlin}');
    assert.equal(nextChange(evening, at('2026-10-24T12:00:00Z')), at('2026-10-25T19:00:00Z'));
    assert.equal(nextChange(evening, at('2026-03-28T12:00:00Z')), at('2026-03-29T18:00:00Z'));
  });

  test('what comes next is the first change that there is', () => {
    const window = fc.record({
      days: fc.uniqueArray(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 3 }),
      fromMinute: fc.integer({ min: 0, max: 47 }).map((half) => half * 30),
      toMinute: fc.integer({ min: 0, max: 47 }).map((half) => half * 30),
    });
    const property = fc.property(
      fc.array(
        window.filter(({ fromMinute, toMinute }) => fromMinute !== toMinute),
        { minLength: 1, maxLength: 3 },
      ),
      fc.integer({ min: 0, max: 10 * 24 * 60 }),
      (windows, minute) => {
        const validity: Validity = { windows, timeZone: 'UTC' };
        const now = at('2026-11-20T00:00:00Z') + minute * 60_000;
        const standing = standingAt(validity, now);
        let expected: number | undefined;
        for (let ahead = 1; ahead <= 15 * 24 * 2 && expected === undefined; ahead++) {
          const then = Math.floor(now / 1_800_000) * 1_800_000 + ahead * 1_800_000;
          if (standingAt(validity, then) !== standing) expected = then;
        }
        assert.equal(nextChange(validity, now), expected);
      },
    );
    fc.assert(property, { numRuns: 100 });
  });

  test('out of its time a document is off; with a clock that is wrong it allows nothing and refuses all that it would', () => {
    const text = ours(
      '{notAfter: "2026-11-23T18:00:00Z"}',
      'ingress: [{action: Allow, fromEndpoints: [{matchLabels: {app: cli}}]}, {action: Deny, fromEndpoints: [{matchLabels: {app: db}}]}]',
    );
    const [doc] = parseOk(text) as [PolicyDocument];
    const pods = { web: { labels: { app: 'web' } }, cli: { labels: { app: 'cli' } }, db: { labels: { app: 'db' } } };
    const reached = (nowMs: number, floorMs = 0) => {
      const fleet = createFleet({ pods }, [inItsTime(doc, nowMs, floorMs)]);
      return ['cli', 'db'].map((from) => fleet.reaches(from, 'web', 'TCP/80'));
    };
    assert.deepEqual(reached(at('2026-11-23T12:00:00Z')), [true, false]);
    assert.deepEqual(reached(at('2026-11-24T00:00:00Z')), [true, true], 'others decide, and there are none');
    assert.deepEqual(reached(at('1970-01-02T00:00:00Z'), at('2026-11-23T11:00:00Z')), [false, false]);
    assert.equal(inItsTime(doc, at('2026-11-24T00:00:00Z')), inItsTime(doc, at('2026-11-25T00:00:00Z')));
    assert.deepEqual(
      doc.warnings.map(({ code }) => code),
      ['opens-out-of-time'],
    );
    assert.deepEqual(
      lintPolicies([doc, { ...doc, key: 'FirewallPolicy/default/q' }]).filter(({ code }) => code === 'duplicate-rule'),
      [],
    );
  });

  test('explain says what is not asked, since it is not its time, and until when', () => {
    const [doc] = parseOk(ours('{schedule: ["Mon-Fri 08:00-18:00"], timeZone: Europe/Berlin}'));
    assert.ok(doc);
    const pod = (app: string) => ({ name: app, labels: [`k8s:app=${app}`, 'k8s:io.kubernetes.pod.namespace=default'] });
    const ask = (atMs?: number) =>
      explain({
        ...{ policies: [{ doc, ruleIds: new Map() }], from: pod('db'), to: pod('web'), protocol: 6, port: 80 },
        ...(atMs === undefined ? {} : { atMs }),
      });
    assert.equal(ask().verdict, 'deny');
    assert.equal(ask(at('2026-11-23T12:00:00Z')).verdict, 'deny');
    const night = ask(at('2026-11-23T20:00:00Z'));
    assert.equal(night.verdict, 'allow');
    assert.deepEqual(night.outOfTime, [
      { policy: doc.key, standing: 'outside-schedule', nextChangeMs: at('2026-11-24T07:00:00Z') },
    ]);
    assert.match(night.text, /is not asked: it is outside its schedule, until 2026-11-24T07:00:00.000Z$/);
  });

  test('annotations of other kinds say the same, and a document prints back to an equal one', () => {
    const text = `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: p\n  annotations:\n    weir.io/not-before: "2026-11-23T08:00:00Z"\n    weir.io/schedule: "Mon-Fri 08:00-18:00; Sun 10:00-12:00"\n    weir.io/time-zone: America/New_York\nspec: {podSelector: {}, ingress: [{}]}\n`;
    const [doc] = parseOk(text);
    assert.deepEqual(doc?.validity, {
      notBefore: at('2026-11-23T08:00:00Z'),
      windows: [
        { days: [1, 2, 3, 4, 5], fromMinute: 480, toMinute: 1080 },
        { days: [0], fromMinute: 600, toMinute: 720 },
      ],
      timeZone: 'America/New_York',
    });
    assert.deepEqual(parseOk(JSON.stringify(doc?.json))[0]?.validity, doc?.validity);
    const [own] = parseOk(ours('{notBefore: "2026-11-23T08:00:00Z"}'));
    assert.deepEqual(parseOk(JSON.stringify(own?.json))[0]?.validity, own?.validity);
  });

  const V = 'spec.validity';
  const ISSUES: readonly Refusal[] = [
    ['no instant', ours('{notBefore: tomorrow}'), `${V}.notBefore`, '"tomorrow" is no instant'],
    ['an instant without an offset', ours('{notBefore: "2026-11-23T08:00:00"}'), `${V}.notBefore`, 'is no instant'],
    ['a day that does not exist', ours('{notAfter: "2026-02-30T08:00:00Z"}'), `${V}.notAfter`, 'is no instant'],
    [
      'an end before the beginning',
      ours('{notBefore: "2026-11-23T08:00:00Z", notAfter: "2026-11-23T08:00:00Z"}'),
      `${V}.notAfter`,
      'ends before it begins',
    ],
    ['no time at all', ours('{}'), V, 'says no time'],
    ['an unknown field', ours('{until: "2026-11-23T08:00:00Z"}'), `${V}.until`, 'unknown field "until"'],
    ['a day that is none', ours('{schedule: ["Mo-Fr 08:00-18:00"]}'), `${V}.schedule[0]`, 'is no window of a week'],
    ['an hour that is none', ours('{schedule: ["Mon 08:00-25:00"]}'), `${V}.schedule[0]`, 'is no window of a week'],
    ['a window without length', ours('{schedule: ["Mon 08:00-08:00"]}'), `${V}.schedule[0]`, 'is no window of a week'],
    ['no windows', ours('{schedule: []}'), `${V}.schedule`, 'must have 1 to 50 windows'],
    [
      'no time zone',
      ours('{schedule: ["08:00-18:00"], timeZone: Mars/Olympus}'),
      `${V}.timeZone`,
      '"Mars/Olympus" is no time zone',
    ],
    [
      'a time zone for nothing',
      ours('{notBefore: "2026-11-23T08:00:00Z", timeZone: UTC}'),
      `${V}.timeZone`,
      'is for a schedule',
    ],
    [
      'of a host',
      'apiVersion: weir.io/v1\nkind: FirewallPolicy\nmetadata: {name: p}\nspec: {nodeSelector: {}, validity: {notAfter: "2026-11-23T08:00:00Z"}, ingress: [{action: Allow}]}\n',
      V,
      'is not supported yet',
    ],
    [
      'of a group',
      'apiVersion: cilium.io/v2\nkind: CiliumCIDRGroup\nmetadata: {name: p, annotations: {weir.io/not-after: "2026-11-23T08:00:00Z"}}\nspec: {externalCIDRs: []}\n',
      'metadata.annotations',
      'a group has no time',
    ],
    [
      'in both places',
      'apiVersion: weir.io/v1\nkind: FirewallPolicy\nmetadata: {name: p, annotations: {weir.io/not-after: "2026-11-23T08:00:00Z"}}\nspec: {endpointSelector: {}, validity: {notAfter: "2026-11-23T08:00:00Z"}, ingress: [{action: Allow}]}\n',
      'metadata.annotations["weir.io/not-after"]',
      'stands beside spec.validity',
    ],
  ];
  for (const one of ISSUES) testRefusal(one);
});
