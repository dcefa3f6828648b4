// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { nanos } from '@nats-io/nats-core';
import { STREAM, subjects } from '@weir/bus';
import { startService, type TestService, until } from './support/app.ts';
import { BOOT, batchOf } from './support/flows.ts';

/** The shortest in which the bus may recognise repetitions. */
const SHORT_WINDOW_MS = 100;

let service: TestService;

before(async () => {
  service = await startService();
});
after(() => service?.stop());

const ledger = async (host: string): Promise<[number, number, number][]> => {
  const { rows } = await service.pool.query(
    `select boot, first_seq, next_seq from ingested join hosts h on h.id = host_id where h.name = $1 order by 1, 2`,
    [host],
  );
  return rows.map((row) => [Number(row.boot), Number(row.first_seq), Number(row.next_seq)]);
};

/** What a database holds of a host, whatever way it came there. */
const checksum = async (host: string): Promise<string> => {
  const { rows } = await service.pool.query(
    `select md5(string_agg(f::text, '|' order by boot, seq)) as flows,
            (select md5(string_agg(row(client_identity, server_identity, protocol, port, verdict, direction, connections,
                                      packets, bytes, reply_packets, reply_bytes)::text, '|'
                                  order by minute, client_identity, server_identity, port, verdict, direction))
               from edges e where e.host_id = h.id) as edges
       from hosts h join lateral (select time, boot, seq, connection_ns, packets, bytes, source_ip, destination_ip,
                                         source_identity, destination_identity, detail, verdict
                                    from flows where host_id = h.id) f on true
      where h.name = $1 group by h.id`,
    [host],
  );
  return JSON.stringify(rows[0]);
};

test('a batch is stored, told by a watermark, and its ledger is one range', async () => {
  const watermarks: string[] = [];
  const subscription = service.bus.nc.subscribe(subjects.wm.build({ host: 'h1' }), {
    callback: (_error, msg) => {
      const { boot, seq, kind } = subjects.wm.decode(msg.data);
      watermarks.push(`${boot}:${seq}:${kind}`);
    },
  });
  await service.bus.nc.flush();
  await service.sendFlows('h1', 1, 1_000);
  await service.sendFlows('h1', 1_001, 500);
  await until('stored', async () => (await service.stored('h1')) === 1_500);
  await until('watermark', () => watermarks.includes(`${BOOT}:1500:flow`));
  assert.deepEqual(await ledger('h1'), [[BOOT, 1, 1_501]]);
  subscription.unsubscribe();
});

test('replays, shuffles and overlaps give the rows and sums of one ordered delivery', async () => {
  const timeMs = Date.now() - 60_000;
  const batches: [number, number][] = [];
  for (let first = 1; first <= 20_000; first += 250) batches.push([first, 250]);
  for (const [first, count] of batches) await service.sendFlows('ordered', first, count, { timeMs });
  // Every batch three times in another order, and batches cut differently; the bus recognises none of them.
  await service.bus.jsm.streams.update(STREAM.EVENTS, { duplicate_window: nanos(SHORT_WINDOW_MS) });
  const cut = batches.map(([first]) => [first + 100, 250] as [number, number]);
  for (const round of [batches, batches, batches, cut]) {
    const shuffled = round
      .filter(([first, count]) => first + count <= 20_001)
      .map((batch, index) => ({ batch, key: (index * 7_919) % 1_009 }))
      .sort((x, y) => x.key - y.key);
    for (const { batch } of shuffled) {
      await service.send('shuffled', batchOf(batch[0], batch[1], timeMs), `shuffled:${BOOT}:${batch[0]}`);
    }
    await sleep(3 * SHORT_WINDOW_MS);
  }
  await until(
    'all stored',
    async () => (await service.stored('shuffled')) === 20_000 && (await service.stored('ordered')) === 20_000,
  );
  await until('nothing pending', async () => {
    const info = await service.bus.jsm.consumers.info('WEIR_EVT', 'analytics');
    return info.num_pending === 0 && info.num_ack_pending === 0;
  });
  assert.deepEqual(await ledger('shuffled'), [[BOOT, 1, 20_001]]);
  assert.equal(await checksum('shuffled'), await checksum('ordered'));
});
