// SPDX-License-Identifier: Apache-2.0
/** Builds the service: store, consumers, doors. Nothing happens before createApp, and close ends all of it. */

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Bus, connectBus, ensureStreams, serviceInbox } from '@weir/bus';
import { createDb, createPool, type Database, migrate } from '@weir/db';
import { isWeirError } from '@weir/errors';
import { listen } from '@weir/http';
import { createRpcServer } from '@weir/rpc';
import { counter, logger, observe, startTelemetry } from '@weir/telemetry';
import type pg from 'pg';
import { observeAccounts } from './accounting-metrics.ts';
import type { AnalyticsConfig } from './config.ts';
import { consumeConfig } from './consumers/config.ts';
import { consumeEvents } from './consumers/events.ts';
import { consumeHeartbeats } from './consumers/heartbeats.ts';
import { buildHttp } from './http.ts';
import { LiveFlows } from './live/hub.ts';
import { LiveProcesses } from './live/processes.ts';
import { accountingService } from './rpc/accounting.ts';
import { flowService } from './rpc/flows.ts';
import { processService } from './rpc/processes.ts';
import { ruleHitService } from './rpc/rule-hits.ts';
import { loadDirectory } from './store/directory.ts';
import { FlowCopy } from './store/flow-copy.ts';
import { FlowGroups, GROUP_READER_SETTINGS } from './store/flow-groups.ts';
import { FlowPages } from './store/flow-pages.ts';
import { Hosts } from './store/hosts.ts';
import { EventStore } from './store/ingest.ts';
import { Maintenance } from './store/maintenance.ts';
import { Owners } from './store/owners.ts';
import { Partitions } from './store/partitions.ts';
import { ProcessCopy } from './store/process-copy.ts';
import { ProcessPages } from './store/process-pages.ts';
import { summarise } from './store/summaries.ts';

export const SCHEMA = 'analytics';
export const MIGRATIONS_DIR = fileURLToPath(new URL('../migrations', import.meta.url));

export interface AnalyticsApp {
  readonly http: string;
  readonly grpc: string;
  /** Retention, indexes and partitions now, instead of at the next turn of the timer. */
  maintain(nowMs?: number): Promise<void>;
  close(): Promise<void>;
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const MAINTENANCE_MS = 15_000;
const SUMMARIES_MS = 1_000;
/** Postgres and the service are often started together. */
const DATABASE_WAIT_MS = 30_000;
const DATABASE_RETRY_MS = 500;
/** A batch may wait for a partition that is being detached. */
const INGEST_STATEMENT_MS = 30_000;
/** Of one stretch of a range that is read whole; two at a time, so that the store has a core for others. */
const GROUPS_STATEMENT_MS = 120_000;
const GROUPS_READERS = 2;
/** The sums of the current minute are updated by every batch. */
const EDGE_FILLFACTOR = 50;

const log = logger('analytics');

const migrated = async (url: string): Promise<void> => {
  for (const deadline = performance.now() + DATABASE_WAIT_MS; ; ) {
    try {
      await migrate({ url, schema: SCHEMA, dir: MIGRATIONS_DIR });
      return;
    } catch (error) {
      const away = isWeirError(error) && error.code === 'UNAVAILABLE';
      if (!away || performance.now() > deadline) throw error;
      await sleep(DATABASE_RETRY_MS);
    }
  }
};

/**
 * Readers walk through time in small windows; for those the planner's general ideas are wrong. Of a partition that
 * was never analysed it believes that BRIN does not help and reads all of it, with workers that take longer to
 * start than the window to read.
 */
const READER_SETTINGS = { enable_seqscan: 'off', max_parallel_workers_per_gather: '0', jit: 'off' };

interface Store {
  readonly db: Database<unknown>;
  readonly ingestPool: pg.Pool;
  readonly groupsPool: pg.Pool;
  readonly maintenance: Maintenance;
  readonly flows: Partitions;
  readonly edges: Partitions;
  readonly processes: Partitions;
  close(): Promise<void>;
}

const openStore = (config: AnalyticsConfig): Store => {
  const url = config.databaseUrl;
  const db = createDb<unknown>({ url, schema: SCHEMA, name: 'analytics', settings: READER_SETTINGS });
  const ingestPool = createPool({
    url,
    schema: SCHEMA,
    name: 'analytics ingest',
    // Of each kind so many, and what else is stored.
    max: 2 * config.ingestTransactions + 3,
    statementTimeoutMs: INGEST_STATEMENT_MS,
    lockTimeoutMs: INGEST_STATEMENT_MS,
  });
  const groupsPool = createPool({
    url,
    schema: SCHEMA,
    name: 'analytics groups',
    // A connection for each reader, and one that can end what another does.
    max: 2 * GROUPS_READERS,
    statementTimeoutMs: GROUPS_STATEMENT_MS,
    settings: GROUP_READER_SETTINGS,
  });
  const upkeepPool = createPool({ url, schema: SCHEMA, name: 'analytics maintenance', max: 3, statementTimeoutMs: 0 });
  const flows = new Partitions(ingestPool, 'flows', config.partitionSeconds * 1_000);
  const edges = new Partitions(ingestPool, 'edges', DAY_MS, EDGE_FILLFACTOR);
  const processes = new Partitions(ingestPool, 'process_events', HOUR_MS);
  const maintenance = new Maintenance({
    pool: upkeepPool,
    flows,
    edges,
    processes,
    flowRetentionMs: config.flowRetentionHours * HOUR_MS,
    edgeRetentionMs: config.edgeRetentionDays * DAY_MS,
    maxBytes: config.maxBytes,
    processRetentionMs: config.processRetentionHours * HOUR_MS,
    processMaxBytes: config.processMaxBytes,
  });
  const close = async (): Promise<void> => {
    await Promise.all([db.close(), ingestPool.end(), groupsPool.end(), upkeepPool.end()]);
  };
  return { db, ingestPool, groupsPool, maintenance, flows, edges, processes, close };
};

const openBus = (config: AnalyticsConfig): Promise<Bus> =>
  connectBus({
    servers: config.natsUrl.split(','),
    ...(config.natsSeed === undefined ? {} : { nkeySeed: config.natsSeed }),
    name: 'analytics',
    inboxPrefix: serviceInbox('analytics'),
    onStatus: (status) => {
      if (status.type === 'reconnect') counter('weir_bus_reconnects_total').add(1);
      if (['disconnect', 'reconnect', 'error'].includes(status.type)) log.warn({ status }, 'bus connection');
    },
  });

/** Calls `work` on a timer, never twice at once. */
const repeat = (everyMs: number, work: () => Promise<void>): { stop(): Promise<void> } => {
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= work()
      .catch((error) => log.debug({ error }, 'a chore failed; it is tried again'))
      .finally(() => {
        running = undefined;
      });
  }, everyMs);
  return {
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
};

/** Runs one at a time, on a timer. A failure is told and tried again at the next turn. */
const keepUp = (store: Store): { run(nowMs?: number): Promise<void>; stop(): Promise<void> } => {
  let bytes = 0;
  let running: Promise<void> | undefined;
  const once = async (nowMs?: number): Promise<void> => {
    bytes = (await store.maintenance.run(nowMs))?.bytes ?? bytes;
  };
  const run = async (nowMs?: number): Promise<void> => {
    await running;
    running = once(nowMs).finally(() => {
      running = undefined;
    });
    await running;
  };
  const timer = setInterval(() => {
    if (running === undefined) run().catch((error) => log.warn({ error }, 'the upkeep of the store failed'));
  }, MAINTENANCE_MS);
  const unobserve = [
    observe('weir_analytics_store_bytes', (result) => result(bytes)),
    observe('weir_analytics_partitions', (result) => result(store.flows.known.length)),
  ];
  return {
    run,
    stop: async () => {
      clearInterval(timer);
      for (const stop of unobserve) stop();
      await running?.catch(() => {});
    },
  };
};

/** `name:n`: ends this process, as a crash would, at the n-th call. */
const killAt = (failpoint: string): (() => void) => {
  let left = Number(failpoint.split(':')[1] ?? 1);
  return () => {
    left -= 1;
    if (left === 0) process.kill(process.pid, 'SIGKILL');
  };
};

export const createApp = async (config: AnalyticsConfig): Promise<AnalyticsApp> => {
  /** Undone in reverse, also when a later step fails. */
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const end of closers.splice(0).reverse()) {
      try {
        await end();
      } catch (error) {
        log.warn({ error }, 'a part did not end cleanly');
      }
    }
  };
  try {
    const telemetry = await startTelemetry({ service: 'analytics' });
    closers.push(() => telemetry.shutdown());
    await migrated(config.databaseUrl);
    const store = openStore(config);
    closers.push(() => store.close());
    const { db, ingestPool, flows, edges, processes } = store;
    const upkeep = keepUp(store);
    closers.push(() => upkeep.stop());
    await upkeep.run();
    await Promise.all([flows, edges, processes].map((partitions) => partitions.refresh()));

    const bus = await openBus(config);
    closers.push(() => bus.close());
    await ensureStreams(bus.jsm);
    const directory = await loadDirectory(db.pool);
    const names = consumeConfig({
      bus,
      directory,
      inboxPrefix: serviceInbox('analytics'),
      trustedKeys: config.trustedSigners,
      pool: ingestPool,
    });
    closers.push(() => names.stop());
    await names.ready;

    const hosts = new Hosts(ingestPool);
    const owners = new Owners(db.pool);
    const flowCopy = new FlowCopy({ flows, edges, owners, retentionMs: config.flowRetentionHours * HOUR_MS });
    const processCopy = new ProcessCopy({ processes, retentionMs: config.processRetentionHours * HOUR_MS });
    const ingests = [flowCopy, processCopy].map((copy) =>
      consumeEvents({
        bus,
        kind: copy.tables.kind,
        inboxPrefix: serviceInbox('analytics'),
        pool: ingestPool,
        store: new EventStore({ pool: ingestPool, hosts, copy }),
        parallel: config.ingestTransactions,
        ...(config.failpoint === undefined || copy !== flowCopy ? {} : { onCommitted: killAt(config.failpoint) }),
      }),
    );
    for (const ingest of ingests) closers.push(() => ingest.stop());
    const pending = (): number => ingests.reduce((sum, ingest) => sum + ingest.pending(), 0);
    closers.push(observe('weir_analytics_messages_pending', (result) => result(pending())));
    closers.push(observeAccounts(db.pool));
    const summaries = repeat(SUMMARIES_MS, () => summarise(ingestPool, flows));
    closers.push(() => summaries.stop());
    const heartbeats = consumeHeartbeats({ bus, pool: ingestPool, hosts });
    closers.push(() => heartbeats.stop());

    const live = new LiveFlows(bus, directory);
    const pages = new FlowPages({ kysely: db.kysely, hosts: new Hosts(db.pool), owners, flows });
    const liveProcesses = new LiveProcesses(bus);
    const processPages = new ProcessPages(db.pool, new Hosts(db.pool));
    const deps = { bus, live, pages, directory, liveProcesses, processPages };
    const http = await buildHttp({ ...deps, pool: db.pool });
    const groups = new FlowGroups({ pool: store.groupsPool, flows, directory });
    const services = [
      flowService({ ...deps, groups }),
      processService(deps),
      accountingService(db.pool),
      ruleHitService(db.pool),
    ];
    const rpc = await createRpcServer({ host: config.host, port: config.grpcPort, services });
    // Streams are ended first: a door does not close while somebody stands in it.
    closers.push(async () => {
      live.close();
      liveProcesses.close();
      await Promise.all([http.close(), rpc.close()]);
    });
    const url = await listen(http, { host: config.host, port: config.port });
    return { http: url, grpc: rpc.address, maintain: (nowMs) => upkeep.run(nowMs), close };
  } catch (error) {
    await close();
    throw error;
  }
};
