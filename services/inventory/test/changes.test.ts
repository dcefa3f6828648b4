// SPDX-License-Identifier: Apache-2.0
/** GET /v1/changes: objects as they are written, and what their hosts say of them, but not what only counts. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Bus, publishAck, subjects } from '@weir/bus';
import { createDb, type Database } from '@weir/db';
import { openSse, type SseReader } from '@weir/http/testing';
import { SCHEMA } from '../src/app.ts';
import { STALE_AFTER_MS } from '../src/domain/liveness.ts';
import { saveSilence } from '../src/store/host-status.ts';
import type { Tables } from '../src/store/tables.ts';
import { eventually, type Harness, startHarness } from './harness.ts';

let harness: Harness;
let reader: SseReader;
let alpha: Bus;
let db: Database<Tables>;
let seen = 0;

before(async () => {
  harness = await startHarness();
  db = createDb<Tables>({ url: harness.database.url, schema: SCHEMA });
  reader = await openSse(`${harness.app.http}/v1/changes`);
  await reader.until('ready', ({ length }) => length === 1);
});
after(async () => {
  reader?.close();
  await db?.close();
  await harness?.stop();
});

/** What has come since the last time. */
const next = async (count: number): Promise<string[]> => {
  const changes = () => reader.events.filter(({ event }) => event === 'change').slice(seen);
  await reader.until(`${count} changes`, () => changes().length >= count);
  const found = changes().map(({ data }) => `${data.what} ${data.kind} ${data.key}`);
  seen += found.length;
  return found;
};

test('hosts, workloads, namespaces and identities as they come, change and go', async () => {
  await harness.call('POST', '/v1/hosts', { name: 'alpha' });
  assert.deepEqual(await next(1), ['written host alpha']);
  await harness.call('POST', '/v1/workloads', {
    name: 'web',
    namespace: 'shop',
    host: 'alpha',
    labels: { app: 'web' },
  });
  const made = await next(3);
  assert.match(made.shift() ?? '', /^written identity \d+$/);
  assert.deepEqual(made, ['written workload shop.web', 'written namespace shop']);
  await harness.call('PUT', '/v1/namespaces/shop', { labels: { team: 'blue' } });
  assert.deepEqual((await next(3)).slice(1), ['written workload shop.web', 'written namespace shop']);
  await harness.call('PUT', '/v1/namespaces/idle', { labels: {} });
  await harness.call('DELETE', '/v1/namespaces/idle');
  assert.deepEqual(await next(2), ['written namespace idle', 'removed namespace idle']);
  assert.equal((await harness.call('DELETE', '/v1/namespaces/none')).status, 404);
});

test('pools and addresses that are kept, which are no documents', async () => {
  await harness.call('PUT', '/v1/pools/lab', { cidrs: ['10.99.0.0/16'], block_bits4: 24, block_bits6: 112 });
  await harness.call('PUT', '/v1/reservations/10.99.0.9', { workload: 'shop.web' });
  await harness.call('DELETE', '/v1/reservations/10.99.0.9');
  await harness.call('DELETE', '/v1/pools/lab');
  assert.deepEqual(await next(4), [
    ...['written pool lab', 'written reservation 10.99.0.9'],
    ...['removed reservation 10.99.0.9', 'removed pool lab'],
  ]);
});

const beat = (workloadsReady: number, produced: bigint): void => {
  const heartbeat = { boot: 1n, version: '1', workloadsReady, workloadsTotal: 1, flows: { produced } };
  alpha.nc.publish(subjects.hb.build({ host: 'alpha' }), subjects.hb.encode(heartbeat as never));
};
const producedOf = async (): Promise<string> =>
  String((await harness.call('GET', '/v1/hosts/alpha')).body.flows?.produced ?? '');
let acks = 0;
const ack = async (state: string, message = ''): Promise<void> => {
  acks += 1;
  const workloads = [{ id: 'shop.web', state, message }];
  const bytes = subjects.ack.encode({ boot: 1n, realised: { inventory: 3n }, workloads } as never);
  await publishAck(alpha.js, subjects.ack.build({ host: 'alpha' }), bytes, `alpha:1:ack:${acks}`);
};

test('what a host says: its state and that of its workloads, once each time it differs', async () => {
  alpha = await harness.agent('alpha');
  beat(0, 1n);
  assert.deepEqual(await next(1), ['status host alpha']);
  beat(0, 500n);
  await eventually('the count', async () => ((await producedOf()) === '500' ? true : undefined));
  await ack('ready');
  assert.deepEqual((await next(2)).sort(), ['status host alpha', 'status workload shop.web']);
  await ack('ready');
  await ack('not-ready', 'no namespace');
  assert.deepEqual(await next(1), ['status workload shop.web']);
});

test('a host that goes silent is told once, and again when it is back', async () => {
  const later = Date.now() + STALE_AFTER_MS + 60_000;
  await Promise.all([saveSilence(db, later), saveSilence(db, later)]);
  assert.deepEqual(await next(1), ['status host alpha']);
  await saveSilence(db, later);
  beat(0, 501n);
  assert.deepEqual(await next(1), ['status host alpha']);
});

test('another reader goes on behind an event; the end of the service is told to both', async () => {
  const from = reader.events[1]?.id ?? '';
  const other = await openSse(`${harness.app.http}/v1/changes?kind=namespace`, from);
  await other.until('namespaces', (events) => events.filter(({ event }) => event === 'change').length >= 3);
  assert.ok(other.events.every(({ event, data }) => event !== 'change' || data.kind === 'namespace'));
  await harness.restart();
  await Promise.all([reader.ended, other.ended]);
  for (const { events } of [reader, other]) assert.equal(events.at(-1)?.event, 'end');
});
