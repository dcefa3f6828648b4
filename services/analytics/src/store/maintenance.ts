// SPDX-License-Identifier: Apache-2.0
/**
 * Keeps the store within its bounds: makes partitions ahead of time, builds the filter indexes of those that have
 * closed, drops the oldest by age and size, and finishes what was interrupted. It looks at what is there, never at
 * what it did before, so it may be killed anywhere. One replica at a time does it; none of it stops the ingest.
 */

import { counter, logger } from '@weir/telemetry';
import type pg from 'pg';
import { CLOSED_INDEXES, isIndexed } from './closed-indexes.ts';
import { pruneDeadLetters } from './dead-letters.ts';
import { pruneDirectory } from './directory.ts';
import { sumClosed } from './group-sums.ts';
import { KINDS } from './kinds.ts';
import { pruneOwners } from './owners.ts';
import { LOCK_CLASS, type Partition, type Partitions, readPartitions } from './partitions.ts';

export interface MaintenanceOptions {
  /** A pool of its own: indexes take longer than statements of an API may. */
  readonly pool: pg.Pool;
  readonly flows: Partitions;
  readonly edges: Partitions;
  readonly processes: Partitions;
  readonly flowRetentionMs: number;
  readonly edgeRetentionMs: number;
  /** Of flows, edges and groups with all indexes. */
  readonly maxBytes: number;
  readonly processRetentionMs: number;
  /** Of events of processes. */
  readonly processMaxBytes: number;
}

export interface MaintenanceReport {
  readonly bytes: number;
  readonly dropped: readonly string[];
  readonly indexed: readonly string[];
  /** Partitions whose groups were added up. */
  readonly summed: readonly string[];
}

type Client = Pick<pg.ClientBase, 'query'>;

const LOCK_MAINTENANCE = 2;
/** Ingest never waits for a partition to be made. */
const AHEAD_MS = 15 * 60_000;
/** Flows come late by spool and bus; an index makes each of them dearer. Until there is one, readers look at all. */
const CLOSE_GRACE_MS = 20_000;
/** Runs of agents that are long over. */
const RUN_MAX_AGE_DAYS = 30;

const log = logger('analytics.maintenance');

const finishDetaching = async (client: Client, parent: string): Promise<void> => {
  for (const { name, detaching } of await readPartitions(client, parent)) {
    if (!detaching) continue;
    await client.query(`alter table ${parent} detach partition ${name} finalize`);
    log.info({ partition: name }, 'an interrupted detach was finished');
  }
};

/** Tables named like partitions that are attached to nothing: a drop, or a creation, that did not get to its end. */
const dropOrphans = async (client: Client, parent: string): Promise<void> => {
  const { rows } = await client.query<{ name: string }>(
    `select c.relname as name from pg_class c
      where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' and not c.relispartition
        and c.relname ~ $1`,
    [`^${parent}_\\d{8}_\\d{6}$`],
  );
  for (const { name } of rows) {
    await client.query(`drop table if exists ${name}`);
    log.info({ table: name }, 'a partition that was detached before was dropped');
  }
};

const makeAhead = async (partitions: Partitions, nowMs: number): Promise<void> => {
  const times: number[] = [];
  for (let at = nowMs; at <= nowMs + Math.max(AHEAD_MS, partitions.lengthMs); at += partitions.lengthMs) times.push(at);
  await partitions.ensure(times);
};

const buildIndexes = async (client: Client, partition: Partition): Promise<boolean> => {
  const { rows } = await client.query<{ name: string; valid: boolean }>(
    `select c.relname as name, i.indisvalid as valid
       from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = $1::regclass`,
    [partition.name],
  );
  const valid = new Map(rows.map((row) => [row.name, row.valid]));
  let built = false;
  for (const [suffix, definition] of Object.entries(CLOSED_INDEXES)) {
    const name = `${partition.name}_${suffix}`;
    if (valid.get(name) === true) continue;
    // Left by a build that was interrupted.
    if (valid.get(name) === false) await client.query(`drop index concurrently if exists ${name}`);
    await client.query(`create index concurrently ${name} on ${partition.name} ${definition}`);
    built = true;
  }
  if (built) await client.query(`analyze ${partition.name}`);
  return built;
};

const drop = async (client: Client, parent: string, { name }: Partition, reason: string): Promise<void> => {
  // Not in a transaction: CONCURRENTLY waits for readers instead of stopping writers.
  await client.query(`alter table ${parent} detach partition ${name} concurrently`);
  await client.query(`drop table ${name}`);
  counter('weir_analytics_partitions_dropped_total').add(1, { reason });
  log.info({ partition: name, reason }, 'a partition was dropped');
};

const sizes = async (client: Client, parent: string): Promise<Map<string, number>> => {
  const { rows } = await client.query<{ name: string; bytes: bigint }>(
    `select c.relname as name, pg_total_relation_size(c.oid) as bytes
       from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = $1::regclass`,
    [parent],
  );
  return new Map(rows.map(({ name, bytes }) => [name, Number(bytes)]));
};

export class Maintenance {
  readonly #options: MaintenanceOptions;
  /** A start waits for the first turn, which therefore leaves out what nobody misses. */
  #hasBegun = false;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
  }

  /** Undefined when another replica is at it. */
  async run(nowMs = Date.now()): Promise<MaintenanceReport | undefined> {
    const { pool, flows, edges, processes } = this.#options;
    const client = await pool.connect();
    let failed = true;
    try {
      const { rows } = await client.query('select pg_try_advisory_lock($1, $2) as mine', [
        LOCK_CLASS,
        LOCK_MAINTENANCE,
      ]);
      if (rows[0]?.mine !== true) {
        await Promise.all([flows, edges, processes].map((partitions) => partitions.refresh()));
        failed = false;
        return undefined;
      }
      const report = await this.#maintain(client, nowMs);
      await client.query('select pg_advisory_unlock($1, $2)', [LOCK_CLASS, LOCK_MAINTENANCE]);
      failed = false;
      return report;
    } finally {
      // The lock is the session's: it goes with a connection that failed.
      client.release(failed);
    }
  }

  async #maintain(client: Client, nowMs: number): Promise<MaintenanceReport> {
    const { flows, edges, processes } = this.#options;
    for (const partitions of [flows, edges, processes]) {
      await finishDetaching(client, partitions.parent);
      await dropOrphans(client, partitions.parent);
      await partitions.refresh(client);
      await makeAhead(partitions, nowMs);
    }
    const dropped = await this.#retain(client, nowMs);
    await flows.refresh(client);
    // Before the indexes, which take ten times as long.
    const summed = this.#hasBegun ? await this.#sum(client, nowMs) : [];
    this.#hasBegun = true;
    const indexed: string[] = [];
    for (const partition of await flows.refresh(client)) {
      if (partition.toMs + CLOSE_GRACE_MS > nowMs || isIndexed(partition)) continue;
      if (await buildIndexes(client, partition)) indexed.push(partition.name);
    }
    // Readers ask differently where there are indexes.
    if (indexed.length > 0) await flows.refresh(client);
    await edges.refresh(client);
    await processes.refresh(client);
    await this.#prune(client, nowMs);
    return { bytes: await this.#bytes(client), dropped, indexed, summed };
  }

  #sum(client: Client, nowMs: number): Promise<string[]> {
    const { known } = this.#options.flows;
    const closed = known.filter(({ toMs }) => toMs + CLOSE_GRACE_MS <= nowMs).map(({ name }) => name);
    return sumClosed(
      client,
      closed,
      known.map(({ name }) => name),
    );
  }

  async #bytes(client: Client): Promise<number> {
    const all = [...(await sizes(client, 'flows')).values(), ...(await sizes(client, 'edges')).values()];
    const { rows } = await client.query<{ bytes: bigint }>(`select pg_total_relation_size('flow_groups') as bytes`);
    return all.reduce((sum, bytes) => sum + bytes, Number(rows[0]?.bytes ?? 0));
  }

  async #retain(client: Client, nowMs: number): Promise<string[]> {
    const { flows, edges, processes, flowRetentionMs, edgeRetentionMs, processRetentionMs } = this.#options;
    const dropped: string[] = [];
    const dropOne = async (parent: string, partition: Partition, reason: string): Promise<void> => {
      await drop(client, parent, partition, reason);
      dropped.push(partition.name);
    };
    for (const [{ parent }, keptMs] of [
      [flows, flowRetentionMs],
      [edges, edgeRetentionMs],
      [processes, processRetentionMs],
    ] as const) {
      for (const partition of await readPartitions(client, parent)) {
        if (partition.toMs <= nowMs - keptMs) await dropOne(parent, partition, 'age');
      }
    }
    const { maxBytes, processMaxBytes } = this.#options;
    const processBytes = async (): Promise<number> =>
      [...(await sizes(client, processes.parent)).values()].reduce((sum, bytes) => sum + bytes, 0);
    for (const [{ parent }, size, most] of [
      [flows, await this.#bytes(client), maxBytes],
      [processes, await processBytes(), processMaxBytes],
    ] as const) {
      let bytes = size;
      const bytesOf = await sizes(client, parent);
      for (const partition of await readPartitions(client, parent)) {
        // The open one stays whatever its size: it is where rows go.
        if (bytes <= most || partition.toMs > nowMs) break;
        await dropOne(parent, partition, 'size');
        bytes -= bytesOf.get(partition.name) ?? 0;
      }
      if (bytes > most)
        log.warn({ bytes, most, table: parent }, 'the store is larger than its limit even without closed partitions');
    }
    return dropped;
  }

  async #prune(client: Client, nowMs: number): Promise<void> {
    const { pool, edgeRetentionMs, flowRetentionMs } = this.#options;
    await pruneDeadLetters(pool);
    await pruneOwners(client, flowRetentionMs);
    await pruneDirectory(pool, nowMs - Math.max(edgeRetentionMs, flowRetentionMs));
    for (const { agents } of Object.values(KINDS)) {
      await client.query(
        `delete from ${agents} a where greatest(a.committed_at, a.reported_at, a.first_seen_at) < now() - $1 * interval '1 day'
          and exists (select 1 from ${agents} newer where newer.host_id = a.host_id and newer.boot > a.boot)`,
        [RUN_MAX_AGE_DAYS],
      );
    }
  }
}
