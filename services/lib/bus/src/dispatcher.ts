// SPDX-License-Identifier: Apache-2.0
/**
 * Empties the outbox onto the bus. Any number may run; the one that holds the session lock works, the others wait,
 * so documents leave one by one in the order of their revisions. A batch is published inside the transaction that deletes it:
 * a crash between repeats it under the same message ids. Woken by NOTIFY, and by a timer for what NOTIFY missed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { beginSpan, counter, extractTrace, isTraced, nowUs, observe, SpanKind, traceHeaders } from '@weir/telemetry';
import type pg from 'pg';
import { HEARTBEAT_INTERVAL_MS, type PublisherState, publishHeartbeat } from './config-heartbeat.ts';
import type { Bus } from './connect.ts';
import { outboxChannel } from './outbox.ts';
import { publishTo } from './publish.ts';
import { type ReconcileDb, reconcile } from './reconcile.ts';
import type { Signer } from './signing.ts';
import { STREAM } from './streams.ts';
import type { Publisher } from './subjects.ts';

export interface OutboxOptions {
  /** Of @weir/db: pool and schema are used. */
  readonly db: ReconcileDb;
  readonly bus: Pick<Bus, 'nc' | 'js' | 'jsm'>;
  readonly signer: Signer;
  readonly publisher: Publisher;
  /** As given to connectBus; for reading back what the stream holds. */
  readonly inboxPrefix: string;
  /**
   * What to do when the stream holds newer documents than the database has given out, as after a restore from a
   * backup: publish nothing and say so (default), or start a new epoch, which readers accept.
   */
  readonly onBehind?: 'refuse' | 'new-epoch';
  readonly onError?: (error: unknown) => void;
  readonly pollMs?: number;
  /** After the broker acknowledged documents and the outbox forgot them. */
  readonly onPublished?: (published: readonly Published[]) => void | Promise<void>;
  /** Pause after a failure. */
  readonly retryMs?: number;
  /** Documents in one transaction. */
  readonly batch?: number;
  readonly heartbeatMs?: number;
  /** For tests: called between the steps; throwing is a crash there. */
  readonly failpoint?: (at: 'selected' | 'published' | 'deleted') => void | Promise<void>;
}

/** A document that left the outbox. */
export interface Published {
  readonly revision: bigint;
  /** The broker had it; microseconds since 1970. */
  readonly atUs: number;
}

export interface OutboxStats {
  /** This process holds the lock. */
  readonly leading: boolean;
  readonly published: number;
  readonly republished: number;
  readonly state: PublisherState | undefined;
}

export interface Outbox {
  stats(): OutboxStats;
  /** Resolves when everything committed before the call was published. */
  drained(): Promise<void>;
  /** Compares the stream with what was published, and sends again what it lost. */
  resync(): Promise<void>;
  stop(): Promise<void>;
}

const POLL_MS = 1_000;
const BATCH = 200;
const RETRY_MS = 500;
const RECONCILE_INTERVAL_MS = 300_000;
const DRAINED_POLL_MS = 20;
/** Class of the session lock; the second key is the schema. */
const DISPATCH_LOCK = 0x0b05;

interface Row {
  readonly epoch: string | bigint;
  readonly revision: string | bigint;
  readonly subject: string;
  readonly document: Buffer;
  readonly trace: Readonly<Record<string, string>>;
}

/** Never `skip locked`: a skipped row would be overtaken. Nobody but a dispatcher locks these rows. */
const SELECT = `select epoch, revision, subject, document, trace from bus_outbox order by revision limit $1 for update`;
/** Both in one snapshot: nothing between the first row and the last revision given is missing. */
const STATE = `select epoch, coalesce((select min(revision) from bus_outbox) - 1, revision) as revision,
  (select count(*) from bus_document) as documents from bus_publisher`;
const NEWEST = 'select distinct on (subject) * from bus_outbox where revision <= $1 order by subject, revision desc';
const KEEP = `insert into bus_document (subject, epoch, revision, document)
  select subject, epoch, revision, document from (${NEWEST}) o where not removed
  on conflict (subject) do update
  set epoch = excluded.epoch, revision = excluded.revision, document = excluded.document`;
const FORGET = `delete from bus_document d using (${NEWEST}) o where d.subject = o.subject and o.removed`;
const DELETE = 'delete from bus_outbox where revision <= $1';

/** Takes the session lock; false when another dispatcher has it. */
const lead = async (client: pg.PoolClient, schema: string): Promise<boolean> => {
  const { rows } = await client.query<{ led: boolean }>('select pg_try_advisory_lock($1, hashtext($2)) as led', [
    DISPATCH_LOCK,
    schema,
  ]);
  return rows[0]?.led === true;
};

export const runOutbox = (options: OutboxOptions): Outbox => {
  const { db, bus, signer, publisher } = options;
  const onError = options.onError ?? (() => {});
  const failpoint = options.failpoint ?? (() => {});
  const batch = options.batch ?? BATCH;
  const stopping = new AbortController();
  const { signal } = stopping;
  let leading = false;
  let published = 0;
  let republished = 0;
  let state: PublisherState | undefined;
  let wake: () => void = () => {};
  let woken = false;
  let reconcileAt = 0;
  const waiters: (() => void)[] = [];

  const poke = (): void => {
    woken = true;
    wake();
  };
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      if (woken || signal.aborted) return resolve();
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  signal.addEventListener('abort', poke);

  const readState = async (client: pg.PoolClient): Promise<void> => {
    const row = (await client.query<Record<'epoch' | 'revision' | 'documents', string | bigint>>(STATE)).rows[0];
    if (row === undefined) throw new Error('bus_publisher is empty: its migration did not run');
    state = { epoch: BigInt(row.epoch), revision: BigInt(row.revision), documents: BigInt(row.documents) };
  };

  /** In the trace of the change that queued it. Returns when the broker had it. */
  const send = async (row: Row): Promise<number> => {
    const id = `${publisher}:${row.epoch}:${row.revision}`;
    const parent = extractTrace((key) => row.trace[key]);
    const attributes = {
      'messaging.system': 'nats',
      'messaging.destination.name': row.subject,
      'weir.publisher': publisher,
      'weir.revision': Number(row.revision),
    };
    const span = isTraced(parent)
      ? beginSpan('publish', { kind: SpanKind.PRODUCER, parent, attributes }, nowUs())
      : undefined;
    const headers = span === undefined ? {} : traceHeaders(span.context);
    try {
      await publishTo(bus.js, STREAM.CONFIG, row.subject, signer.sign(row.document), id, { headers });
    } catch (error) {
      span?.end(nowUs(), error);
      throw error;
    }
    const atUs = nowUs();
    span?.end(atUs);
    published += 1;
    counter('weir_outbox_published_total').add(1);
    return atUs;
  };

  const tellPublished = async (left: readonly Published[]): Promise<void> => {
    if (left.length === 0) return;
    try {
      await options.onPublished?.(left);
    } catch (error) {
      onError(error);
    }
  };

  /** Publishes one batch; what was acknowledged is forgotten even when a later one fails. Returns its size. */
  const dispatch = async (client: pg.PoolClient): Promise<number> => {
    await client.query('begin');
    try {
      const { rows } = await client.query<Row>(SELECT, [batch]);
      await failpoint('selected');
      let failed: unknown;
      let upTo: string | bigint | undefined;
      const left: Published[] = [];
      for (const row of rows) {
        try {
          left.push({ revision: BigInt(row.revision), atUs: await send(row) });
        } catch (error) {
          failed = error;
          break;
        }
        upTo = row.revision;
      }
      await failpoint('published');
      if (upTo !== undefined) for (const statement of [KEEP, FORGET, DELETE]) await client.query(statement, [upTo]);
      await failpoint('deleted');
      await client.query('commit');
      await tellPublished(left);
      if (failed !== undefined) throw failed;
      return rows.length;
    } catch (error) {
      await client.query('rollback').catch(() => {});
      throw error;
    }
  };

  const work = async (client: pg.PoolClient): Promise<void> => {
    if (Date.now() >= reconcileAt) {
      republished += await reconcile({ ...options, signal });
      reconcileAt = Date.now() + RECONCILE_INTERVAL_MS;
      for (const done of waiters.splice(0)) done();
    }
    while (!signal.aborted && (await dispatch(client)) === batch);
    await readState(client);
  };

  const session = async (client: pg.PoolClient): Promise<void> => {
    let lost: unknown;
    const fail = (error?: unknown): void => {
      lost = error ?? new Error('the database connection ended');
      poke();
    };
    client.on('error', fail);
    client.on('end', () => fail());
    client.on('notification', poke);
    let beat: NodeJS.Timeout | undefined;
    try {
      while (!signal.aborted) {
        leading = await lead(client, db.schema);
        if (leading) break;
        await pause(options.pollMs ?? POLL_MS);
      }
      if (signal.aborted) return;
      await client.query(`listen "${outboxChannel(db.schema)}"`);
      reconcileAt = 0;
      beat = setInterval(() => {
        if (state !== undefined && !bus.nc.isClosed()) publishHeartbeat(bus.nc, signer, publisher, state);
      }, options.heartbeatMs ?? HEARTBEAT_INTERVAL_MS);
      while (!signal.aborted) {
        woken = false;
        if (lost !== undefined) throw lost;
        await work(client);
        await pause(options.pollMs ?? POLL_MS);
      }
    } finally {
      clearInterval(beat);
      leading = false;
    }
  };

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      let client: pg.PoolClient | undefined;
      try {
        client = await db.pool.connect();
        await session(client);
      } catch (error) {
        if (!signal.aborted) onError(error);
        await sleep(options.retryMs ?? RETRY_MS, undefined, { signal }).catch(() => {});
      } finally {
        // Destroyed, not given back: with the session goes its lock and its LISTEN.
        client?.release(true);
      }
    }
  };

  const followConnection = async (): Promise<void> => {
    for await (const status of bus.nc.status()) {
      if (signal.aborted) return;
      if (status.type !== 'reconnect') continue;
      // The broker may have come back without what it had.
      reconcileAt = 0;
      poke();
    }
  };

  const stopObserving = observe('weir_outbox_pending', async (result) => {
    const { rows } = await db.pool.query<{ count: bigint }>('select count(*) as count from bus_outbox');
    result(Number(rows[0]?.count ?? 0));
  });
  void followConnection();
  const running = run();
  return {
    stats: () => ({ leading, published, republished, state }),
    drained: async () => {
      const { rows } = await db.pool.query<{ last: string | bigint | null }>(
        'select max(revision) as last from bus_outbox',
      );
      const last = rows[0]?.last ?? null;
      if (last === null) return;
      for (;;) {
        const left = await db.pool.query('select 1 from bus_outbox where revision <= $1 limit 1', [last]);
        if (left.rowCount === 0) return;
        await sleep(DRAINED_POLL_MS, undefined, { signal });
      }
    },
    resync: () =>
      new Promise((resolve) => {
        waiters.push(resolve);
        reconcileAt = 0;
        poke();
      }),
    stop: async () => {
      stopObserving();
      stopping.abort();
      await running;
    },
  };
};
