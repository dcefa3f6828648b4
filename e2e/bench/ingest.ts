// SPDX-License-Identifier: Apache-2.0
/**
 * From the bus into tables and out again: batches as agents publish them, at full speed and at 60 % of it, then the last
 * hundred flows of many filters. The batches are encoded beforehand: what is measured is what comes after the agents.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { agentInbox, connectBus, eventMessageId, publishEvents, subjects } from '@weir/bus';
import { createPool } from '@weir/db';
import { callApi } from '@weir/infra/api';
import { createPipeline, type Pipeline, until } from '@weir/infra/pipeline';
import { BATCH_FLOWS, BatchTemplate } from './batch.ts';
import { cpuSeconds, cpuSecondsOfTree } from './cpu.ts';
import { atLeast, atMost, type BenchOptions, percentile, type Row } from './report.ts';

const LEAST_PER_SECOND = 300_000;
const QUERY_MOST_MS = 5;
const SHARE = 0.6;
const PARTITION_S = 10;
const INDEXED_TIMEOUT_MS = 180_000;
const TRICKLE_PER_SECOND = 10_000;
const TRICKLE_S = 10;
const HOSTS = ['h1', 'h2', 'h3', 'h4'];
/** Batches of a host that wait for the broker's answer. */
const IN_FLIGHT = 16;
/** Ahead of the store, in all: less than the stream holds, and than the bus would be asked to keep in production. */
const MAX_AHEAD_FLOWS = 500_000;
const DRAIN_TIMEOUT_MS = 120_000;

interface Run {
  readonly sent: number;
  readonly sendingS: number;
  readonly storedS: number;
}

class Source {
  readonly #pipeline: Pipeline;
  readonly #stored: () => Promise<number>;
  #sent = 0;
  readonly #boot = BigInt(Date.now());
  readonly #next = new Map(HOSTS.map((host) => [host, 1n]));

  constructor(pipeline: Pipeline, stored: () => Promise<number>) {
    this.#pipeline = pipeline;
    this.#stored = stored;
  }

  /** All hosts publish for so long, together at most so many a second. */
  async run(seconds: number, perSecond = Number.POSITIVE_INFINITY): Promise<Run> {
    const before = this.#sent;
    const begun = performance.now();
    let stored = before;
    let sending = true;
    const watch = async (): Promise<void> => {
      while (sending) {
        stored = await this.#stored();
        await sleep(50);
      }
    };
    const host = async (name: string): Promise<void> => {
      const bus = await connectBus({
        servers: this.#pipeline.control.natsUrl,
        name,
        nkeySeed: this.#pipeline.control.agentSeed(name),
        inboxPrefix: agentInbox(name),
      });
      const subject = subjects.evtFlow.build({ host: name });
      const lane = async (template: BatchTemplate): Promise<void> => {
        for (;;) {
          const elapsedS = (performance.now() - begun) / 1000;
          if (elapsedS >= seconds) return;
          if (this.#sent - before > elapsedS * perSecond || this.#sent - stored > MAX_AHEAD_FLOWS) {
            await sleep(5);
            continue;
          }
          const firstSeq = this.#next.get(name) as bigint;
          this.#next.set(name, firstSeq + BigInt(BATCH_FLOWS));
          this.#sent += BATCH_FLOWS;
          const bytes = template.at(this.#boot, firstSeq, BigInt(Date.now()) * 1_000_000n);
          await publishEvents(bus.js, subject, bytes, eventMessageId(name, this.#boot, firstSeq));
        }
      };
      const seed = HOSTS.indexOf(name) * IN_FLIGHT;
      await Promise.all(Array.from({ length: IN_FLIGHT }, (_, i) => lane(new BatchTemplate(seed + i))));
      await bus.close();
    };
    let sendingS = 0;
    const send = async (): Promise<void> => {
      await Promise.all(HOSTS.map(host));
      sendingS = (performance.now() - begun) / 1000;
      sending = false;
    };
    await Promise.all([send(), watch()]);
    await until(
      'all flows to be stored',
      DRAIN_TIMEOUT_MS,
      async () => (await this.#stored()) >= this.#sent,
      () => `${this.#sent} were sent`,
    );
    return { sent: this.#sent - before, sendingS, storedS: (performance.now() - begun) / 1000 };
  }

  get sent(): number {
    return this.#sent;
  }
}

/** Every partition that has rows has closed and got its indexes. */
const ALL_INDEXED = `select bool_and(exists (
    select from pg_index i join pg_class x on x.oid = i.indexrelid
     where i.indrelid = c.oid and i.indisvalid and x.relname = c.relname || '_verdict')) as indexed
  from pg_inherits h join pg_class c on c.oid = h.inhrelid
  where h.inhparent = 'analytics.flows'::regclass and pg_relation_size(c.oid) > 0`;

/** One filter after the other, as a person would look for different things: p95 of the answers. */
const queries = async (analyticsUrl: string, count: number): Promise<number> => {
  const filters = Array.from({ length: count }, (_, i) =>
    [`ip=10.1.${i % 4}.${1 + (i % 200)}`, `identity=${256 + (i % 40)}`, `port=${30_000 + i}`, `verdict=DROPPED`].slice(
      i % 4,
      (i % 4) + 1,
    ),
  );
  const tookMs: number[] = [];
  for (const [filter] of filters) {
    const before = performance.now();
    await callApi(`${analyticsUrl}/v1/flows?limit=100&${filter}`);
    tookMs.push(performance.now() - before);
  }
  return percentile(tookMs, 95);
};

export const ingest = async ({ smoke, long, onStep }: BenchOptions): Promise<Row[]> => {
  const seconds = smoke ? 0.3 : 10;
  onStep('NATS, Postgres, analytics');
  const pipeline = await createPipeline({
    dir: mkdtempSync(join(tmpdir(), `weir-bench-${process.pid}-`)),
    hosts: HOSTS,
    // Ten million rows come in less than a minute here: partitions as short against that as the default is against a day.
    serviceEnv: { WEIR_ANALYTICS_PARTITION_SECONDS: String(PARTITION_S) },
  });
  const { control } = pipeline;
  const pool = createPool({ url: control.databaseUrl, name: 'bench', connectTimeoutMs: 30_000 });
  try {
    const stored = async (): Promise<number> => {
      const { rows } = await pool.query<{ stored: string }>(
        'select coalesce(sum(stored), 0) as stored from analytics.agents',
      );
      return Number(rows[0]?.stored);
    };
    const source = new Source(pipeline, stored);
    await source.run(smoke ? 0.1 : 2);
    onStep(`${seconds} s at full speed`);
    const cpu = () => ({
      nats: cpuSeconds(control.nats.pid),
      analytics: cpuSeconds(control.services.analytics.pid),
      postgres: cpuSecondsOfTree(control.postgres.pid),
      source: process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6,
    });
    const before = cpu();
    const full = await source.run(seconds);
    const after = cpu();
    const rate = full.sent / full.storedS;
    onStep(`${seconds} s at ${Math.round((rate * SHARE) / 1000)}k flows/s`);
    const calm = await source.run(seconds, rate * SHARE);
    const rows: Row[] = [
      { metric: 'flows stored, full speed', value: rate, unit: 'flows/s', ...atLeast(rate, LEAST_PER_SECOND) },
      { metric: `at 60 %: behind when sending ends`, value: calm.storedS - calm.sendingS, unit: 's' },
      { metric: 'at 60 %: flows stored', value: calm.sent / calm.storedS, unit: 'flows/s' },
    ];
    for (const name of ['nats', 'analytics', 'postgres', 'source'] as const) {
      const value = ((after[name] - before[name]) * 1_000_000) / full.sent;
      rows.push({ metric: `CPU per million flows, ${name}`, value, unit: 's' });
    }
    const uncounted = Math.abs((await stored()) - source.sent);
    rows.push({ metric: 'flows sent and not stored', value: uncounted, unit: 'flows', ...atMost(uncounted, 0) });
    for (const size of smoke ? [0] : long ? [1_000_000, 10_000_000] : [1_000_000]) {
      while (source.sent < size) await source.run(seconds);
      onStep(`queries on ${(source.sent / 1e6).toFixed(1)} million rows`);
      if (!smoke) {
        await until('the partitions to be indexed', INDEXED_TIMEOUT_MS, async () => {
          await sleep(1_000);
          return (await pool.query<{ indexed: boolean }>(ALL_INDEXED)).rows[0]?.indexed === true;
        });
      }
      await queries(control.urls.analytics, smoke ? 4 : 40);
      const p95 = await queries(control.urls.analytics, smoke ? 8 : 200);
      const what = `last 100 by a filter, of ${(source.sent / 1e6).toFixed(1)}M rows, p95`;
      rows.push({ metric: what, value: p95, unit: 'ms', ...atMost(p95, QUERY_MOST_MS) });
      if (smoke) continue;
      const [, busy] = await Promise.all([
        source.run(TRICKLE_S, TRICKLE_PER_SECOND),
        queries(control.urls.analytics, 100),
      ]);
      rows.push({ metric: `the same while ${TRICKLE_PER_SECOND} flows/s come`, value: busy, unit: 'ms' });
    }
    return rows;
  } finally {
    await pool.end();
    await pipeline.destroy();
  }
};
