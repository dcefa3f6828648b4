// SPDX-License-Identifier: Apache-2.0
/** Distinct groups of stored flows: what they add up to, what their ends meant then, and that a reader who leaves ends the read. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type FlowEnd, type FlowGroup, FlowService } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { createRpcClient } from '@weir/rpc';
import { Directory } from '../src/domain/directory.ts';
import { FlowGroups } from '../src/store/flow-groups.ts';
import { Partitions } from '../src/store/partitions.ts';
import { startService, type TestService, until } from './support/app.ts';
import { BOOT, batchBytes, type FlowInit, flowInit, ip4 } from './support/flows.ts';

let service: TestService;
let boots = 0;

before(async () => {
  service = await startService();
});
after(() => service?.stop());

const send = async (host: string, flows: readonly FlowInit[]): Promise<void> => {
  boots += 1;
  const already = await service.stored(host);
  await service.send(host, batchBytes(BOOT + boots, 1, flows), `${host}:${BOOT + boots}:1`);
  await until('flows to be stored', async () => (await service.stored(host)) === already + flows.length);
};

const read = async (request: object = {}) => {
  const client = createRpcClient(FlowService, service.app.grpc);
  const ends = new Map<number, FlowEnd>();
  const groups: FlowGroup[] = [];
  const done: number[] = [];
  try {
    for await (const message of client.streamFlowGroups(request)) {
      for (const end of message.ends) ends.set(end.number, end);
      groups.push(...message.groups);
      if (message.progress) done.push(message.progress.done);
      if (message.summary) return { ends, groups, done, summary: message.summary };
    }
    return assert.fail('there was no summary');
  } finally {
    client.close();
  }
};

test('packets both ways add up to their connection, by what was asked of whom, with outside addresses only', async () => {
  const timeMs = Date.now() - 60_000;
  const ping: FlowInit = { protocol: 1, icmpType: 8, tcpFlags: 0, sourcePort: 0, destinationPort: 0, isReply: false };
  await service.publishConfig('identity', '256', {
    case: 'identity',
    value: { identity: 256, labels: ['k8s:app=web'] },
  } as never);
  await service.publishConfig('workload', 'shop.web', {
    case: 'workload',
    value: { id: 'shop.web', name: 'web', namespace: 'shop', hostId: 'g1', ip4: '10.1.0.1', identity: 256 },
  } as never);
  await until('names', async () => (await service.pool.query('select 1 from workload_addresses')).rowCount === 1);
  await send('g1', [
    flowInit(0, timeMs, { sourceIdentity: 256 }),
    flowInit(0, timeMs, { sourceIdentity: 256, sourcePort: 1 }),
    flowInit(1, timeMs, { destinationIdentity: 256, sourceIdentity: 300 }),
    flowInit(0, timeMs, { ...ping, sourceIdentity: 2, sourceIp: ip4('192.0.2.9') }),
    flowInit(0, timeMs, {
      ...{ ...ping, icmpType: 0, isReply: true, sourceIdentity: 300, sourceIp: ip4('10.2.0.1') },
      ...{ destinationIdentity: (1 << 24) + 5, destinationIp: ip4('192.0.2.9') },
    }),
    flowInit(0, timeMs, { verdict: 2, dropReason: 133, direction: 2 }),
  ]);
  const { ends, groups, done, summary } = await read({ since: timestampFromMs(timeMs - 1_000) });
  const shown = groups
    .map((group) => ({
      client: ends.get(group.client)?.identity,
      server: ends.get(group.server)?.identity,
      ip: [group.clientIp, group.serverIp],
      what: [group.protocol, group.port, group.icmpType, group.direction, group.verdict, group.dropReason],
      sums: [group.flows, group.packets, group.bytes],
    }))
    .sort((a, b) => (JSON.stringify(a.what) < JSON.stringify(b.what) ? -1 : 1));
  assert.deepEqual(shown, [
    { client: 2, server: 300, ip: ['192.0.2.9', ''], what: [1, 0, 8, 1, 1, 0], sums: [2n, 6n, 360n] },
    { client: 256, server: 300, ip: ['', ''], what: [6, 443, 0, 1, 1, 0], sums: [3n, 9n, 540n] },
    { client: 256, server: 300, ip: ['', ''], what: [6, 443, 0, 2, 2, 133], sums: [1n, 3n, 180n] },
  ]);
  const web = [...ends.values()].find(({ identity }) => identity === 256);
  assert.deepEqual([web?.labels, web?.workloads, web?.workloadCount], [['k8s:app=web'], ['shop/web'], 1]);
  assert.deepEqual([...ends.values()].find(({ identity }) => identity === 300)?.labels, []);
  assert.deepEqual([done[0], done.at(-1)], [0, 1]);
  assert.equal(summary.flows, 6n);
  const { groups: all } = await read({ since: timestampFromMs(timeMs - 1_000), workloadAddresses: true });
  assert.ok(all.every(({ clientIp, serverIp }) => clientIp !== '' && serverIp !== ''));
});

test('groups of all partitions are what one sum over all rows says', async () => {
  const hour = 3_600_000;
  for (let back = 1; back <= 6; back += 1) {
    await send(
      'g2',
      Array.from({ length: 200 }, (_, seq) => flowInit(seq, Date.now() - back * hour)),
    );
  }
  const { groups, summary } = await read();
  const { rows } = await service.pool.query(
    'select count(*)::int8 as flows, sum(packets)::int8 as packets, sum(bytes)::int8 as bytes from flows',
  );
  const sum = (field: 'flows' | 'packets' | 'bytes') => groups.reduce((total, group) => total + group[field], 0n);
  assert.deepEqual({ flows: sum('flows'), packets: sum('packets'), bytes: sum('bytes') }, rows[0]);
  assert.equal(summary.flows, rows[0].flows);
});

test('closed partitions are added up once, and anew when a flow comes late', async () => {
  const hour = 3_600_000;
  const timeMs = Date.now() - 9 * hour;
  const alike = (timeOfMs: number, count: number): FlowInit[] =>
    Array.from({ length: count }, (_, seq) => flowInit(0, timeOfMs, { sourceIdentity: 401, sourcePort: 1_000 + seq }));
  await send('g3', [...alike(timeMs, 50), ...alike(timeMs - hour, 50)]);
  const range = { since: timestampFromMs(timeMs - 2 * hour), until: timestampFromMs(timeMs + hour) };
  const sums = async () => {
    const { groups, summary } = await read(range);
    const what = groups.map(({ client: _, server: __, $typeName, $unknown, ...group }) => group);
    return { what: what.sort((a, b) => a.port - b.port), flows: summary.flows };
  };
  const done = async (): Promise<number> =>
    Number((await service.pool.query('select count(*) from flow_groups_done where summed')).rows[0].count);
  /** Some partitions a turn. */
  const addUp = async (): Promise<number> => {
    for (let before = -1, now = await done(); ; before = now, now = await done()) {
      if (now === before) return now;
      await service.app.maintain();
    }
  };
  const flows = await sums();
  assert.equal(await done(), 0);
  const closed = await addUp();
  assert.ok(closed >= 2, `${closed} are added up`);
  assert.deepEqual(await sums(), flows);

  await send('g3', alike(timeMs, 1));
  assert.equal(await done(), closed - 1, 'what came late is not in the sums');
  const more = await sums();
  assert.equal(more.flows, flows.flows + 1n);
  assert.deepEqual([await addUp(), await sums()], [closed, more]);

  // They are what is read: of whole partitions only, and not when addresses are asked for.
  await service.pool.query('update flow_groups set flows = flows + 1000');
  assert.equal((await sums()).flows, more.flows + 2_000n * BigInt(more.what.length));
  const inside = { since: timestampFromMs(timeMs), until: timestampFromMs(timeMs + 1) };
  assert.equal((await read(inside)).summary.flows, 51n);
  assert.equal((await read({ ...range, workloadAddresses: true })).summary.flows, more.flows);
  await service.pool.query('truncate flow_groups, flow_groups_done');
});

test('an identity that meant something else before is two ends', async () => {
  const nowMs = Date.now();
  const directory = new Directory();
  directory.load({
    kind: 'labels',
    span: { identity: 280, fromMs: 0, labels: ['k8s:app=old'], removedMs: nowMs - 2_000_000 },
  });
  directory.load({
    kind: 'labels',
    span: { identity: 280, fromMs: nowMs - 1_000_000, labels: ['k8s:app=new'], removedMs: null },
  });
  const over = { sourceIdentity: 280, destinationIdentity: 333 };
  await send('g3', [flowInit(0, nowMs - 3_000_000, over), flowInit(0, nowMs - 500_000, { ...over, bytes: 7n })]);
  const flows = new Partitions(service.pool, 'flows', 120_000);
  const reader = new FlowGroups({ pool: service.pool, flows, directory });
  const bytes = new Map<string, bigint>();
  for await (const { ends, groups } of reader.read({ workloadAddresses: false }, new AbortController().signal)) {
    const byNumber = new Map(ends.map((end) => [end.number, end]));
    for (const group of groups) {
      const [client, server] = [group.client, group.server].map((number) => byNumber.get(number));
      if (client?.identity === 280 && server?.identity === 333) bytes.set(client.labels.join(), group.bytes);
    }
  }
  assert.deepEqual([bytes.get('k8s:app=old'), bytes.get('k8s:app=new')], [180n, 7n]);
});

test('a reader who leaves ends the query in Postgres', async () => {
  const blocker = await service.pool.connect();
  await blocker.query('begin; lock table flows in access exclusive mode');
  const abort = new AbortController();
  const client = createRpcClient(FlowService, service.app.grpc);
  const waiting = async (): Promise<number> => {
    const { rows } = await service.pool.query(
      `select count(*)::int4 as n from pg_stat_activity
        where datname = current_database() and application_name = 'analytics groups' and state = 'active'`,
    );
    return rows[0].n;
  };
  try {
    const reading = (async () => {
      for await (const _ of client.streamFlowGroups({}, { signal: abort.signal }));
    })();
    await until('the query to run', async () => (await waiting()) === 1);
    abort.abort();
    await until('the query to end', async () => (await waiting()) === 0, 2_000);
    await reading;
  } finally {
    client.close();
    await blocker.query('rollback');
    blocker.release();
  }
});

test('a range that is none is refused', async () => {
  const at = timestampFromMs(Date.now());
  await assert.rejects(read({ since: at, until: at }), { code: 'INVALID_ARGUMENT' });
});
