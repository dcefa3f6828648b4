// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatTimeUs, parseLabelSelector, parseTimeUs, selectorMatches } from '@weir/net';
import fc from 'fast-check';
import { Directory } from '../src/domain/directory.ts';
import { EdgeTable } from '../src/domain/edges.ts';
import { parseFilter } from '../src/domain/filter.ts';
import { FlowReader } from '../src/domain/flow-reader.ts';
import { GAP_MAX_AGE_MS, join, lengthOf, type Range, settledUpTo, without } from '../src/domain/ranges.ts';
import { Position } from '../src/live/position.ts';
import { freeSlot, partitionName } from '../src/store/partitions.ts';
import { batchBytes, type FlowInit, flowInit } from './support/flows.ts';

const anyRange = fc
  .record({ first: fc.nat(60), length: fc.integer({ min: 1, max: 20 }) })
  .map(({ first, length }) => ({ first, next: first + length }));
const numbers = (ranges: readonly Range[]): number[] =>
  ranges.flatMap(({ first, next }) => Array.from({ length: next - first }, (_, index) => first + index));

test('ranges: joined and cut like sets of numbers', () => {
  fc.assert(
    fc.property(fc.array(anyRange), anyRange, (held, wanted) => {
      const set = new Set(numbers(held));
      assert.deepEqual(
        numbers(join(held)),
        [...set].sort((a, b) => a - b),
      );
      assert.equal(lengthOf(join(held)), set.size);
      assert.deepEqual(
        numbers(without(wanted, held)),
        numbers([wanted]).filter((number) => !set.has(number)),
      );
    }),
  );
});

test('a watermark stops at a gap that may still be filled, and only there', () => {
  const nowMs = 1_000_000_000;
  const stored = (...ranges: [number, number, number?][]) =>
    ranges.map(([first, next, ageMs = 0]) => ({ first, next, storedAtMs: nowMs - ageMs }));
  const settled = (ranges: ReturnType<typeof stored>, releasedSeq = 0): number =>
    settledUpTo({ stored: ranges, releasedSeq, nowMs });
  assert.equal(settled(stored()), 0);
  assert.equal(settled(stored([1, 11])), 10);
  assert.equal(settled(stored([0, 11])), 10, 'numbers may start at 0');
  assert.equal(settled(stored([1, 11], [21, 31])), 10);
  assert.equal(settled(stored([21, 31])), 0, 'the beginning is missing');
  assert.equal(settled(stored([1, 11], [21, 31, GAP_MAX_AGE_MS])), 30, 'too old to be filled');
  assert.equal(settled(stored([5_001, 6_001]), 5_000), 6_000, 'a store that forgot goes on where the agent let go');
  assert.equal(settled(stored([1, 11]), 50), 50);
});

test('edges are what adding up flow by flow gives', () => {
  const flow = fc.record({
    sourceIdentity: fc.integer({ min: 256, max: 260 }),
    destinationIdentity: fc.integer({ min: 256, max: 260 }),
    sourcePort: fc.constantFrom(80, 443, 65_535),
    destinationPort: fc.constantFrom(80, 443, 65_535),
    protocol: fc.constantFrom(6, 17, 255),
    verdict: fc.constantFrom(1, 2),
    direction: fc.constantFrom(1, 2),
    isReply: fc.boolean(),
    report: fc.constantFrom(1, 3),
    packets: fc.bigInt({ min: 1n, max: 1_000n }),
    bytes: fc.bigInt({ min: 1n, max: 1_000_000n }),
  });
  const table = new EdgeTable();
  fc.assert(
    fc.property(fc.array(flow, { minLength: 1, maxLength: 300 }), (flows) => {
      const expected = new Map<string, number[]>();
      const reader = new FlowReader();
      table.clear();
      reader.open(
        batchBytes(
          5,
          1,
          flows.map((over, index) => flowInit(index, 120_000, over as FlowInit)),
        ),
      );
      for (const [index, one] of flows.entries()) {
        reader.next();
        const timeUs = 120_000_000 + index * 400_000;
        table.add(reader, 1, timeUs);
        const [client, server, serverPort] = one.isReply
          ? [one.destinationIdentity, one.sourceIdentity, one.sourcePort]
          : [one.sourceIdentity, one.destinationIdentity, one.destinationPort];
        const key = [
          Math.floor(timeUs / 60e6) * 60e6,
          client,
          server,
          one.protocol,
          serverPort,
          one.verdict,
          one.direction,
        ].join();
        const sums = expected.get(key) ?? [0, 0, 0, 0, 0, 0];
        const [packets, bytes] = [Number(one.packets), Number(one.bytes)];
        const first = Number(!one.isReply && one.report === 1);
        const add = one.isReply ? [0, 0, 0, packets, bytes] : [first, packets, bytes, 0, 0];
        expected.set(key, [
          ...add.map((value, at) => value + (sums[at] as number)),
          Math.max(timeUs, sums[5] as number),
        ]);
      }
      const c = table.columns();
      const got = new Map(
        c.minuteUs.map((minute, i) => [
          [minute, c.client[i], c.server[i], c.protocol[i], c.port[i], c.verdict[i], c.direction[i]].join(),
          [c.connections[i], c.packets[i], c.bytes[i], c.replyPackets[i], c.replyBytes[i], c.lastSeenUs[i]],
        ]),
      );
      assert.deepEqual(got, expected);
    }),
    { numRuns: 60 },
  );
});

test('edges: a table grows', () => {
  const table = new EdgeTable();
  const reader = new FlowReader();
  const flows = Array.from({ length: 9_000 }, (_, index) =>
    flowInit(index * 2, 120_000, { sourceIdentity: 256 + index, packets: BigInt(index + 1) }),
  );
  reader.open(batchBytes(5, 1, flows));
  while (reader.next()) table.add(reader, 1, 120_000_000);
  const columns = table.columns();
  assert.equal(table.size, 9_000);
  assert.ok(columns.client.every((client, index) => columns.packets[index] === client - 255));
});

const LABELS = ['k8s:app=web', 'k8s:io.kubernetes.pod.namespace=prod', 'container:image=nginx:1.2', 'reserved:host'];
const SELECTORS: readonly [string, boolean][] = [
  ['app=web', true],
  ['app==web', true],
  ['k8s:app=web', true],
  ['any:app=web', true],
  ['container:app=web', false],
  ['app=db', false],
  ['app!=db', true],
  ['app!=web', false],
  ['tier!=db', true],
  ['app', true],
  ['!app', false],
  ['!tier', true],
  ['app in (web, db)', true],
  ['app notin (web)', false],
  ['app=web,image=nginx:1.2', true],
  ['app=web,image=other', false],
  ['io.kubernetes.pod.namespace=prod,app in (api,web)', true],
  ['reserved:host', true],
  ['host', true],
  ['reserved:world', false],
];

for (const [text, expected] of SELECTORS) {
  test(`label selector ${text}`, () => {
    assert.equal(selectorMatches(parseLabelSelector('from_label', text), LABELS), expected);
  });
}

for (const text of [
  '',
  '=web',
  'app=web,',
  'a b=c',
  'app in web',
  'app=we b',
  '(',
  'app in (a;b)',
  "app='; drop table flows",
]) {
  test(`not a label selector: ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseLabelSelector('from_label', text), { code: 'INVALID_ARGUMENT' });
  });
}

test('times: RFC 3339 to the microsecond, or how long ago', () => {
  const nowMs = Date.UTC(2026, 7, 1, 12);
  const nowUs = nowMs * 1_000;
  const parse = (text: string): number => parseTimeUs('since', text, nowMs);
  assert.equal(parse('5m'), nowUs - 300e6);
  assert.equal(parse('1.5h'), nowUs - 5_400e6);
  assert.equal(parse('250ms'), nowUs - 250e3);
  assert.equal(parse('2026-08-01T12:00:00Z'), nowUs);
  assert.equal(parse('2026-08-01t12:00:00.123456789z'), nowUs + 123_456);
  assert.equal(parse('2026-08-01T14:00:00.5+02:00'), nowUs + 500_000);
  assert.equal(formatTimeUs(nowUs + 123_456), '2026-08-01T12:00:00.123456Z');
  for (const text of ['yesterday', '5', '5y', '2026-08-01', '2026-13-01T00:00:00Z', '-5m']) {
    assert.throws(() => parse(text), { code: 'INVALID_ARGUMENT' }, text);
  }
  fc.assert(fc.property(fc.integer({ min: 0, max: 4e15 }), (us) => parse(formatTimeUs(us)) === us));
});

const BAD: readonly [string, string, RegExp][] = [
  ['verdict', 'MAYBE', /FORWARDED, DROPPED/],
  ['verdict', 'UNSPECIFIED', /FORWARDED/],
  ['direction', 'UP', /INGRESS, EGRESS/],
  ['protocol', 'XYZ', /TCP/],
  ['drop_reason', 'because', /POLICY_DENIED/],
  ['rule_id', '-1', /number/],
  ['pending', 'AUDIT', /FORWARDED, DROPPED/],
  ['pending_rule_id', '-1', /number/],
  ['rule_id', '99999999999', /number/],
  ['host', 'a b', /letters/],
  ['is_reply', 'yes', /true or false/],
  ['exec_id', 'aDE6MTI=', /process or a flow/],
  ['process', 'bin/curl', /whole path/],
  ['process', 'curl*', /whole path/],
  ['uid', '4294967296', /number/],
  ['ip', '10.0.0', /10\.0\.0\.1/],
  ['from_ip', '10.0.0.0/33', /0 to 32/],
  ['to_ip', 'fe80::1%eth0', /./],
  ['port', '65536', /0 to 65535/],
  ['from_port', 'http', /number/],
  ['identity', 'web', /number/],
  ['to_identity', '4294967296', /number/],
  ['from_workload', 'a/b/c', /namespace\/name/],
  ['namespace', 'x y', /letters/],
  ['since', 'soon', /5m/],
  ['until', 'x', /5m/],
];

for (const [field, value, fix] of BAD) {
  test(`filter ${field}=${value} is refused with a fix`, () => {
    assert.throws(
      () => parseFilter({ [field]: [value] }, Date.now()),
      (error: { code?: string; facts?: { field?: string; value?: unknown; fix?: string } }) => {
        assert.equal(error.code, 'INVALID_ARGUMENT');
        assert.equal(error.facts?.field, field);
        assert.equal(error.facts?.value, value);
        assert.match(error.facts?.fix ?? '', fix);
        return true;
      },
    );
  });
}

test('filter: since must be before until, values are limited', () => {
  assert.throws(() => parseFilter({ since: ['1m'], until: ['2m'] }, Date.now()), /after since/);
  assert.throws(() => parseFilter({ port: Array.from({ length: 101 }, () => '80') }, Date.now()), /at most 100/);
});

test("a workload with its host's address has its name by host and identity, while no other is alike", () => {
  const directory = new Directory();
  const unit = (name: string, host = 'h1') => ({ name, namespace: 'prod', host, identity: 1001 });
  const find = (host = 'h1', identity = 1001, ip = '192.0.2.1') => directory.workload(ip, identity, host, 1)?.name;
  const { version } = directory;
  assert.deepEqual(directory.setUnit('prod.db', unit('db'), 1), []);
  assert.ok(directory.version > version);
  assert.deepEqual([find(), find('h2'), find('h1', 1002)], ['db', undefined, undefined]);
  directory.setUnit('prod.db2', unit('db2'), 1);
  assert.equal(find(), undefined, 'two are alike');
  directory.setUnit('prod.db2', unit('db2', 'h2'), 1);
  assert.deepEqual([find(), find('h2')], ['db', 'db2']);
  assert.deepEqual(directory.living().workloads, ['prod.db', 'prod.db2']);
  directory.removeWorkload('prod.db', 1);
  assert.deepEqual([find(), find('h2')], [undefined, 'db2']);
});

test('directory: names as of a time', () => {
  const directory = new Directory();
  const workload = (workloadId: string, ips: string[]) => ({
    workloadId,
    name: workloadId,
    namespace: 'prod',
    host: 'h1',
    identity: 256,
    ips,
  });
  assert.equal(directory.setWorkload(workload('web', ['10.0.0.1']), 1_000).length, 1);
  assert.equal(directory.setWorkload(workload('web', ['10.0.0.1']), 1_500).length, 0, 'nothing new');
  assert.equal(directory.owner('10.0.0.1', 500)?.name, 'web', 'flows may be older than what we heard');
  directory.removeWorkload('web', 2_000);
  assert.equal(directory.owner('10.0.0.1', 2_500)?.name, 'web', 'its last packets still bear its name');
  directory.setWorkload(workload('api', ['10.0.0.1', 'fd00::1']), 3_000);
  assert.equal(directory.owner('10.0.0.1', 1_999)?.name, 'web');
  assert.equal(directory.owner('10.0.0.1', 2_000)?.name, 'api');
  assert.deepEqual(
    directory.usesOf(({ name }) => name === 'web'),
    [{ ip: '10.0.0.1', fromMs: 0, toMs: 2_000 }],
  );
  directory.setWorkload(workload('api', ['fd00::1']), 4_000);
  assert.deepEqual(directory.living().workloads, ['api']);
  directory.setLabels(256, ['k8s:app=web'], 1_000);
  directory.setLabels(256, ['k8s:app=other'], 5_000);
  assert.deepEqual(directory.labels(256, 100), ['k8s:app=web']);
  assert.deepEqual(directory.labels(256, 5_000), ['k8s:app=other']);
  assert.deepEqual(directory.labels(2, 0), ['reserved:world']);
  assert.deepEqual(directory.labels((1 << 24) + 5, 0), ['reserved:world']);
  directory.prune(10_000);
  assert.equal(directory.owner('10.0.0.1', 1_000), undefined);
  assert.equal(directory.owner('fd00::1', 1_000)?.name, 'api');
});

test('position: survives its own text, covers what was given, forgets hosts that are silent', () => {
  const position = new Position();
  position.advance({ host: 'h1', boot: 1_785_600_000_000, seq: 5, timeUs: 1_000e6 });
  position.advance({ host: 'h2', boot: 1_785_600_000_000, seq: 9, timeUs: 1_020e6 });
  const copy = Position.parse(position.toString());
  assert.equal(copy.covers({ host: 'h2', boot: 1_785_600_000_000, seq: 9 }), true);
  assert.equal(copy.covers({ host: 'h2', boot: 1_785_600_000_000, seq: 10 }), false);
  assert.equal(copy.covers({ host: 'h2', boot: 1_785_600_000_001, seq: 1 }), false);
  assert.equal(copy.covers({ host: 'h1', boot: 1_785_600_000_000, seq: 5 }), false, 'twenty seconds ago');
  assert.equal(copy.sinceUs, 1_010e6);
  for (const id of ['x y', '!!', 'nonsense', 'abc/h1', 'abc/h1:1:2', '../..', `a${'/h:1:2:3'.repeat(40)}`]) {
    assert.throws(() => Position.parse(id), { code: 'INVALID_ARGUMENT' }, id);
  }
});

test('partitions: slots fit between others', () => {
  const of = (fromMs: number, toMs: number) => ({ name: '', fromMs, toMs, detaching: false, indexes: [] });
  assert.deepEqual(freeSlot([], 1_234, 100), { fromMs: 1_200, toMs: 1_300 });
  assert.equal(freeSlot([of(1_200, 1_300)], 1_234, 100), undefined);
  assert.deepEqual(freeSlot([of(1_200, 1_220), of(1_250, 1_300)], 1_234, 100), { fromMs: 1_220, toMs: 1_250 });
  assert.equal(partitionName('flows', Date.UTC(2026, 7, 1, 12, 5)), 'flows_20260801_120500');
});
