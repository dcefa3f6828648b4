// SPDX-License-Identifier: Apache-2.0
/** What breaks, and what must be in the store afterwards: everything once. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { createPool, startEmbeddedPostgres } from '@weir/db';
import { createApp, MIGRATIONS_DIR, SCHEMA } from '../src/app.ts';
import { readBatchHead } from '../src/domain/flow-reader.ts';
import { FlowCopy } from '../src/store/flow-copy.ts';
import { Hosts } from '../src/store/hosts.ts';
import { EventStore } from '../src/store/ingest.ts';
import { Owners } from '../src/store/owners.ts';
import { Partitions } from '../src/store/partitions.ts';
import { startService, type TestService, until } from './support/app.ts';
import { BOOT, batchBytes, batchOf, flowInit } from './support/flows.ts';

const onceEach = async (service: TestService, host: string, count: number): Promise<void> => {
  const { rows } = await service.pool.query(
    `select count(*)::int4 as n, count(distinct (boot, seq))::int4 as seqs, min(seq)::int4 as low, max(seq)::int4 as high,
            (select sum(packets + reply_packets)::int8 from edges where host_id = h.id) as edge_packets, sum(packets)::int8 as packets
       from flows join hosts h on h.id = host_id where h.name = $1 group by h.id`,
    [host],
  );
  const { n, seqs, low, high, edge_packets: edgePackets, packets } = rows[0];
  assert.deepEqual({ n, seqs, low, high }, { n: count, seqs: count, low: 1, high: count });
  assert.equal(edgePackets, packets, 'sums are not counted twice');
};

const drained = (service: TestService, timeoutMs = 60_000): Promise<void> =>
  until(
    'nothing is pending',
    async () => {
      const info = await service.bus.jsm.consumers.info('WEIR_EVT', 'analytics');
      return info.num_pending === 0 && info.num_ack_pending === 0;
    },
    timeoutMs,
  );

describe('Postgres goes away under load', () => {
  test('503 with Retry-After, nothing acknowledged, nothing lost, nothing twice', async () => {
    const dir = mkdtempSync(join(tmpdir(), `weir-analytics-pg-${process.pid}-`));
    const settings = { shared_buffers: '64MB' };
    let postgres = await startEmbeddedPostgres({ dir, settings });
    const { port } = postgres;
    const service = await startService({}, { databaseUrl: await postgres.ensureDatabase('weir') });
    try {
      let sent = 0;
      let sending = true;
      const sender = (async () => {
        while (sending) {
          await service.sendFlows('h1', sent + 1, 100);
          sent += 100;
          await sleep(10);
        }
      })();
      await until('some are stored', async () => (await service.stored('h1')) > 2_000);
      await postgres.stop('immediate');
      for (let round = 0; round < 5; round += 1) {
        const startedAt = performance.now();
        const { status, headers, body } = await service.get('/v1/flows');
        assert.equal(status, 503, JSON.stringify(body));
        assert.equal(headers.get('retry-after'), '1');
        assert.ok(performance.now() - startedAt < 20_000);
        await sleep(200);
      }
      assert.equal((await service.get('/readyz')).status, 503);
      await sleep(2_000);
      const before = await service.bus.jsm.consumers.info('WEIR_EVT', 'analytics');
      assert.ok(before.num_pending + before.num_ack_pending > 0, 'messages wait on the bus');
      postgres = await startEmbeddedPostgres({ dir, port, settings });
      sending = false;
      await sender;
      await until('all are stored', async () => (await service.stored('h1')) === sent, 60_000);
      await drained(service);
      await onceEach(service, 'h1', sent);
      assert.equal((await service.get('/readyz')).status, 200);
    } finally {
      await service.stop();
      await postgres.stop();
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe('messages that can never be stored', () => {
  let service: TestService;
  before(async () => {
    service = await startService();
  });
  after(() => service?.stop());

  test('are set aside once, with the reason; all others are stored', async () => {
    for (let batch = 0; batch < 50; batch += 1) {
      await service.sendFlows('h1', 1 + batch * 200, 200);
      if (batch === 10) await service.send('h1', Buffer.from('not protobuf at all'), 'h1:1:junk');
      if (batch === 20) {
        const flows = [flowInit(1), flowInit(2, Date.now(), { sourceIp: new Uint8Array(7) })];
        await service.send('h1', batchBytes(BOOT, 900_001, flows), `h1:${BOOT}:900001`);
      }
      if (batch === 30) await service.send('h1', batchOf(1, 10), `h2:${BOOT}:1`);
    }
    await drained(service);
    await onceEach(service, 'h1', 10_000);
    const { rows } = await service.pool.query(
      'select host, message_id, reason, length(payload) as size from dead_letters order by id',
    );
    assert.deepEqual(
      rows.map(({ host, message_id: id }) => [host, id]).sort(),
      [
        ['h1', 'h1:1:junk'],
        ['h1', `h1:${BOOT}:900001`],
        ['h1', `h2:${BOOT}:1`],
      ].sort(),
    );
    const reasons = rows.map(({ reason }) => reason).join('; ');
    assert.match(reasons, /addresses of 7 and 4 bytes/);
    assert.match(reasons, /its id is "h2:\d+:1", that of its batch h1:\d+:1/);
    assert.equal(await service.stored('h2'), 0, 'no row for a host that did not send it');
    await service.restart();
    await sleep(500);
    assert.equal((await service.pool.query('select count(*)::int4 as n from dead_letters')).rows[0].n, 3);
  });

  test('a clock that is far off loses nothing', async () => {
    const year = 365 * 86_400_000;
    await service.sendFlows('clock', 1, 10, { timeMs: Date.now() + year });
    await service.sendFlows('clock', 11, 10, { timeMs: Date.now() - year });
    await service.sendFlows('clock', 21, 10, { timeMs: Date.now() + 3_600_000 });
    await until('stored', async () => (await service.stored('clock')) === 30);
    await onceEach(service, 'clock', 30);
  });

  test('Postgres refuses one of many: it alone is set aside, after five deliveries', async () => {
    await service.pool.query('alter table flows add constraint test_refuses check (rule_id <> 666)');
    await service.sendFlows('refused', 1, 50);
    await service.sendFlows('refused', 1_001, 1, { over: { ruleId: 666 } });
    await service.sendFlows('refused', 51, 50);
    await until(
      'set aside',
      async () => (await service.pool.query("select 1 from dead_letters where host = 'refused'")).rowCount === 1,
      60_000,
    );
    await drained(service);
    await onceEach(service, 'refused', 100);
    const { rows } = await service.pool.query("select deliveries, reason from dead_letters where host = 'refused'");
    assert.equal(rows[0].deliveries, 5);
    assert.match(rows[0].reason, /test_refuses/);
    await service.pool.query('alter table flows drop constraint test_refuses');
  });

  test('the bus goes away and comes back', async () => {
    await service.sendFlows('bus', 1, 100);
    await until('stored', async () => (await service.stored('bus')) === 100);
    await service.nats.kill();
    await sleep(500);
    assert.equal((await service.get('/v1/flows?host=bus&limit=1')).status, 200, 'stored flows can be read');
    await service.nats.start();
    await until(
      'connected again',
      async () => {
        try {
          await service.sendFlows('bus', 101, 100);
          return true;
        } catch {
          return false;
        }
      },
      30_000,
    );
    await until('stored', async () => (await service.stored('bus')) === 200, 60_000);
    await onceEach(service, 'bus', 200);
  });
});

/** nats-server writes a consumer's state while it deletes it, finds its folder not empty, and says so (seen of 2.9): asked again until it is gone. */
const deleteConsumer = async ({ bus }: TestService): Promise<void> => {
  const { consumers } = bus.jsm;
  const made = (await consumers.info('WEIR_EVT', 'analytics')).created;
  await until('the consumer to be gone', async () => {
    const isRefused = await consumers.delete('WEIR_EVT', 'analytics').then(
      () => false,
      () => true,
    );
    if (!isRefused) return true;
    return consumers.info('WEIR_EVT', 'analytics').then(
      ({ created }) => created !== made,
      () => true,
    );
  });
};

describe('the consumer', () => {
  test('is made again when it was deleted, and gets everything again: nothing is stored twice', async () => {
    const service = await startService();
    try {
      await service.sendFlows('h1', 1, 500);
      await until('stored', async () => (await service.stored('h1')) === 500);
      await deleteConsumer(service);
      await service.sendFlows('h1', 501, 500);
      await until('stored', async () => (await service.stored('h1')) === 1_000, 60_000);
      await drained(service);
      await onceEach(service, 'h1', 1_000);
    } finally {
      await service.stop();
    }
  });

  test('takes no more than it has room for, however large the messages are', async () => {
    const service = await startService();
    try {
      // 300 MB in messages of nearly 1 MB, each with few flows and much that nobody knows.
      const padding = new BinaryWriter().tag(99, WireType.LengthDelimited).bytes(new Uint8Array(1_000_000)).finish();
      const before = process.memoryUsage().rss;
      let highest = 0;
      const timer = setInterval(() => {
        highest = Math.max(highest, process.memoryUsage().rss);
      }, 50);
      for (let batch = 0; batch < 300; batch += 1) {
        await service.send(
          'big',
          Buffer.concat([batchOf(1 + batch * 10, 10), padding]),
          `big:${BOOT}:${1 + batch * 10}`,
        );
      }
      await until('stored', async () => (await service.stored('big')) === 3_000, 60_000);
      clearInterval(timer);
      await onceEach(service, 'big', 3_000);
      assert.ok(highest - before < 250 * 1024 * 1024, `${Math.round((highest - before) / 1024 / 1024)} MB more`);
    } finally {
      await service.stop();
    }
  });
});

describe('the service is killed while it works', () => {
  test('twelve times, between any two steps: everything is stored once', async () => {
    const service = await startService();
    await service.app.close();
    const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
    const start = async (): Promise<ChildProcess> => {
      const child = spawn(process.execPath, [main], {
        stdio: ['ignore', 'pipe', 'ignore'],
        env: {
          PATH: process.env.PATH,
          NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
          WEIR_ANALYTICS_PORT: '0',
          WEIR_ANALYTICS_GRPC_PORT: '0',
          WEIR_ANALYTICS_DATABASE_URL: service.config.databaseUrl,
          WEIR_ANALYTICS_NATS_URL: service.config.natsUrl,
          WEIR_TRUSTED_SIGNERS: service.config.trustedSigners.join(','),
        },
      });
      const [line] = await once(child.stdout as NonNullable<ChildProcess['stdout']>, 'data');
      assert.equal(JSON.parse(String(line)).msg, 'listening');
      return child;
    };
    let child = await start();
    try {
      let sent = 0;
      for (let round = 0; round < 12; round += 1) {
        const until = performance.now() + 150 + Math.random() * 250;
        while (performance.now() < until) {
          await service.sendFlows('h1', sent + 1, 200);
          sent += 200;
        }
        child.kill('SIGKILL');
        await once(child, 'exit');
        child = await start();
      }
      // What a killed process held comes again when the bus stops waiting for it.
      await until('all stored', async () => (await service.stored('h1')) === sent, 120_000);
      await onceEach(service, 'h1', sent);
    } finally {
      child.kill('SIGTERM');
      await once(child, 'exit');
      await service.restart();
      await service.stop();
    }
  });
});

describe('replicas', () => {
  test('two services share the work; the same messages stored by both at once are stored once', async () => {
    const service = await startService();
    const second = await createApp(service.config);
    try {
      for (let batch = 0; batch < 60; batch += 1) await service.sendFlows('h1', 1 + batch * 500, 500);
      await until('stored', async () => (await service.stored('h1')) === 30_000, 60_000);
      await onceEach(service, 'h1', 30_000);

      const store = (): EventStore => {
        const pool = createPool({ url: service.config.databaseUrl, schema: SCHEMA, max: 4 });
        pools.push(pool);
        const [flows, edges] = [new Partitions(pool, 'flows', 300_000), new Partitions(pool, 'edges', 86_400_000)];
        const copy = new FlowCopy({ flows, edges, owners: new Owners(pool), retentionMs: 86_400_000 });
        return new EventStore({ pool, hosts: new Hosts(pool), copy });
      };
      const pools: ReturnType<typeof createPool>[] = [];
      const stores = [store(), store(), store()];
      const messages = Array.from({ length: 40 }, (_, index) => {
        const data = batchOf(1 + index * 100, 100);
        return { host: 'both', data, head: readBatchHead(data) };
      });
      const results = await Promise.all(
        stores.flatMap((one) => [
          one.store(messages),
          one.store([...messages].reverse()),
          one.store(messages.slice(10, 30)),
        ]),
      );
      assert.equal(
        results.reduce((sum, { rows }) => sum + rows, 0),
        4_000,
      );
      await onceEach(service, 'both', 4_000);
      for (const pool of pools) await pool.end();
    } finally {
      await second.close();
      await service.stop();
    }
  });
});

test('the migrations folder is where the service looks for it', () => {
  assert.match(MIGRATIONS_DIR, /services\/analytics\/migrations$/);
});
