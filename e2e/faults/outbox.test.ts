// SPDX-License-Identifier: Apache-2.0
/** F19: the publisher of configuration dies between commit, publish and mark; the bus hears everything, in order. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { CFG_ALL, connectBus, createKeys, createSigner, ensureStreams, readSnapshot, verifySigned } from '@weir/bus';
import { CHANGES_SQL, enqueueConfig, OUTBOX_SQL, type OutboxOptions, runOutbox } from '@weir/bus/publishing';
import { startTestNats } from '@weir/bus/testing';
import { createDb, withTransaction } from '@weir/db';
import { testDatabase } from '@weir/db/testing';
import { report } from '../lib/figures.ts';
import { size } from '../lib/size.ts';

type Point = Parameters<NonNullable<OutboxOptions['failpoint']>>[0];

/** After the commit and before the publish; after the publish and before the mark; before the mark is committed. */
const POINTS: readonly Point[] = ['selected', 'published', 'deleted'];
const AGGREGATES = 5;

describe('outbox', () => {
  it('F19 the publisher dies between commit, publish and mark', async (t) => {
    const iterations = size({ short: 30, long: 1_000 });
    const keys = createKeys('account');
    const dir = mkdtempSync(join(tmpdir(), `weir-f19-${process.pid}-`));
    writeFileSync(join(dir, '0001-bus.sql'), OUTBOX_SQL + CHANGES_SQL);
    const nats = await startTestNats();
    const bus = await connectBus({ servers: nats.url, name: 'f19' });
    const database = await testDatabase({ schema: 'policy', migrationsDir: dir });
    // biome-ignore lint/complexity/noBannedTypes: no tables of a service are needed
    const db = createDb<{}>({ url: database.url, schema: 'policy' });
    await ensureStreams(bus.jsm);
    const heard: { readonly subject: string; readonly revision: bigint }[] = [];
    bus.nc.subscribe(CFG_ALL, {
      callback: (_, { subject, data }) =>
        void heard.push({ subject, revision: verifySigned(data, [keys.publicKey], subject).revision }),
    });
    await bus.nc.flush();
    let armed: Point | undefined;
    let deaths = 0;
    const outbox = runOutbox({
      db,
      bus,
      signer: createSigner(keys.seed),
      publisher: 'policy',
      inboxPrefix: '_INBOX',
      pollMs: 50,
      retryMs: 5,
      failpoint: (at) => {
        if (at !== armed) return;
        armed = undefined;
        deaths += 1;
        throw new Error(`dies at ${at}`);
      },
    });
    try {
      let slowestMs = 0;
      for (let i = 0; i < iterations; i++) {
        armed = POINTS[i % POINTS.length];
        const key = `p${i % AGGREGATES}`;
        const body = { case: 'policy' as const, value: { key } };
        const startedAt = performance.now();
        await withTransaction(db, (trx) => enqueueConfig(trx, [{ kind: 'policy', key, body }]));
        await outbox.drained();
        slowestMs = Math.max(slowestMs, performance.now() - startedAt);
      }
      await bus.nc.flush();
      const first = [...new Set(heard.map(({ revision }) => revision))];
      const inOrder = first.every((revision, i) => revision === BigInt(i + 1));
      const held = await readSnapshot({ ...bus, inboxPrefix: '_INBOX', consumer: 'snap-f19' });
      const newest = held.map(({ subject, data }) => verifySigned(data, [keys.publicKey], subject).revision);
      const wanted = Array.from({ length: AGGREGATES }, (_, i) => BigInt(iterations - i));
      report(
        t,
        'F19',
        {
          at: 'outbox',
          deaths,
          revisions: first.length,
          repeated: heard.length - first.length,
          slowest_ms: Math.round(slowestMs),
        },
        [
          ['it died each time', deaths === iterations],
          ['0 lost, in order', first.length === iterations && inOrder],
          ['the stream holds the newest of each', wanted.every((revision) => newest.includes(revision))],
          ['each once', newest.length === AGGREGATES],
          ['on the bus within 5 s', slowestMs <= 5_000],
        ],
      );
    } finally {
      await outbox.stop();
      await db.close();
      await database.drop();
      await bus.close();
      await nats.stop();
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
