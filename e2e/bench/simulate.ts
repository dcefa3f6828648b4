// SPDX-License-Identifier: Apache-2.0
/**
 * What a change of policy would have meant for ten million stored flows, asked of the API as `weir simulate` asks: from the request to the
 * summary, with the flows of closed partitions added up as upkeep does it, and without that. The flows are written to the tables
 * directly; workloads, labels and policies come by their APIs.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentInbox, connectBus, eventMessageId, publishEvents, subjects } from '@weir/bus';
import { createPool } from '@weir/db';
import { callApi } from '@weir/infra/api';
import { inParallel } from '@weir/infra/fleet';
import { createPipeline, type Pipeline, until } from '@weir/infra/pipeline';
import { BATCH_FLOWS, BatchTemplate } from './batch.ts';
import { atMost, type BenchOptions, median, type Row } from './report.ts';

const HOST = 'h1';
const PARTITION_S = 240;
const MOST_S = 3;
const ROUNDS = 5;
const AT_ONCE = 8;
const UPKEEP_MS = 600_000;

const POLICIES = (workloads: number) =>
  Array.from({ length: Math.min(20, workloads) }, (_, i) => ({
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumNetworkPolicy',
    metadata: { name: `p${i}`, namespace: 'default' },
    spec: {
      endpointSelector: { matchLabels: { app: `a${i}` } },
      ingress: [{ fromEndpoints: [{}] }],
    },
  }));

/** The workloads of one policy are closed to half of those that talk to them. */
const CANDIDATE = (workloads: number) => ({
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumNetworkPolicy',
  metadata: { name: 'p0', namespace: 'default' },
  spec: {
    endpointSelector: { matchLabels: { app: 'a0' } },
    ingress: [
      { fromEndpoints: Array.from({ length: workloads / 2 }, (_, i) => ({ matchLabels: { app: `a${2 * i}` } })) },
    ],
  },
});

interface Asked {
  readonly tookS: number;
  readonly firstS: number;
  readonly flows: number;
}

const simulate = async (policyUrl: string, candidate: object): Promise<Asked> => {
  const before = performance.now();
  const response = await fetch(`${policyUrl}/v1/policies/simulate?since=1d`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(candidate),
  });
  let [text, firstS] = ['', 0];
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    firstS ||= (performance.now() - before) / 1_000;
    text += Buffer.from(chunk).toString();
  }
  const tookS = (performance.now() - before) / 1_000;
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; flows?: number; newly_denied?: { flows: number } });
  const summary = lines.find(({ event }) => event === 'summary');
  const flows = lines.findLast(({ event }) => event === 'progress')?.flows ?? 0;
  if (!summary?.newly_denied?.flows) throw new Error(`simulate: ${response.status} ${text.slice(0, 500)}`);
  return { tookS, firstS, flows };
};

/** One batch each: the service makes the partitions. Returns from when on there are so many whole ones that have closed. */
const makePartitions = async ({ control }: Pipeline, count: number): Promise<number> => {
  const step = PARTITION_S * 1_000;
  const fromMs = (Math.floor(Date.now() / step) - count - 1) * step;
  const bus = await connectBus({
    ...{ servers: control.natsUrl, name: HOST, nkeySeed: control.agentSeed(HOST), inboxPrefix: agentInbox(HOST) },
  });
  const boot = BigInt(Date.now());
  for (let i = 0; i < count; i++) {
    const firstSeq = BigInt(i * BATCH_FLOWS + 1);
    const bytes = new BatchTemplate(i).at(boot, firstSeq, BigInt(fromMs + i * step + 1_000) * 1_000_000n);
    await publishEvents(bus.js, subjects.evtFlow.build({ host: HOST }), bytes, eventMessageId(HOST, boot, firstSeq));
  }
  await bus.close();
  return fromMs;
};

export const simulation = async ({ smoke, onStep }: BenchOptions): Promise<Row[]> => {
  const [flows, partitions, workloads] = smoke ? [10_000, 2, 4] : [10_000_000, 30, 140];
  onStep('NATS, Postgres, services');
  const pipeline = await createPipeline({
    dir: mkdtempSync(join(tmpdir(), `weir-bench-${process.pid}-`)),
    hosts: [HOST],
    serviceEnv: { WEIR_ANALYTICS_PARTITION_SECONDS: String(PARTITION_S) },
  });
  const { control } = pipeline;
  const pool = createPool({ url: control.databaseUrl, name: 'bench', connectTimeoutMs: 30_000, statementTimeoutMs: 0 });
  try {
    const { inventory, policy } = control.urls;
    const identities = await inParallel(
      Array.from({ length: workloads }, (_, i) => i),
      AT_ONCE,
      async (i) =>
        (
          await callApi<{ identity: number }>(`${inventory}/v1/workloads`, {
            body: { name: `w${i}`, namespace: 'default', host: HOST, labels: { app: `a${i}` } },
          })
        ).identity,
    );
    for (const document of POLICIES(workloads)) await callApi(`${policy}/v1/policies`, { body: document });
    const known = 'select count(*)::int4 as count from analytics.identity_labels where identity = any($1)';
    await until('analytics to know the labels', 60_000, async () => {
      const { rows } = await pool.query<{ count: number }>(known, [identities]);
      return rows[0]?.count === identities.length;
    });
    // As if they had been there all day.
    await pool.query(`update analytics.identity_labels set valid_from = now() - interval '2 days'`);
    await pool.query(`update analytics.workload_addresses set valid_from = now() - interval '2 days'`);
    await control.services.analytics.kill();
    await control.services.analytics.start();

    const fromMs = await makePartitions(pipeline, partitions);
    await until('the partitions to be made', 60_000, async () => {
      const { rows } = await pool.query<{ stored: string }>('select sum(stored) as stored from analytics.agents');
      return Number(rows[0]?.stored) === partitions * BATCH_FLOWS;
    });
    onStep(`${flows / 1e6} million flows`);
    const usEach = (partitions * PARTITION_S * 1e6) / flows;
    const part = Math.min(flows, 1_000_000);
    for (let at = 0; at < flows; at += part)
      await pool.query(
        `insert into analytics.flows (time, boot, seq, connection_ns, packets, bytes, host_id, source_identity,
             destination_identity, rule_id, workload_id, source_port, destination_port, detail, protocol, verdict,
             drop_reason, source_ip, destination_ip)
         select to_timestamp($1::float8 / 1e3) + i * $2::float8 * interval '1 microsecond', 2, i, 0, 3, 180,
                (select min(id) from analytics.hosts), ids[1 + pair % $4::int4], ids[1 + pair / $4::int4], 0, 1, 30000 + i % 20000,
                80 + pair % 3, ((2 - i % 2) << 29) | (1 << 25), 6, 1, 0, '10.1.0.1', '10.1.0.2'
           from (select i, (i::int8 * 7919 % ($4::int4 * $4::int4))::int4 as pair, $3::int4[] as ids
                   from generate_series($5::int4, $5 + $6 - 1) i) made`,
        [fromMs, usEach, identities, workloads, at, part],
      );
    // Written past the service: whatever it had added up before is not all.
    await pool.query('delete from analytics.flow_groups_done');
    const wanted = flows + partitions * BATCH_FLOWS;
    const rows: Row[] = [];
    const measure = async (what: string, goal: boolean): Promise<void> => {
      const asked: Asked[] = [];
      for (let i = 0; i < (smoke ? 1 : ROUNDS); i++) asked.push(await simulate(policy, CANDIDATE(workloads)));
      const short = asked.find((one) => one.flows !== wanted);
      if (short) throw new Error(`${short.flows} of ${wanted} flows were judged`);
      const value = median(asked.map(({ tookS }) => tookS));
      rows.push({
        metric: `simulate over ${flows} flows, ${what}`,
        value,
        unit: 's',
        ...(goal ? atMost(value, MOST_S) : {}),
      });
      const first = median(asked.map(({ firstS }) => firstS));
      rows.push({ metric: `simulate, first line, ${what}`, value: first, unit: 's' });
    };
    onStep('waiting for upkeep');
    await until('the partitions to be added up', UPKEEP_MS, async () => {
      const { rows: done } = await pool.query<{ count: number }>(
        'select count(distinct partition)::int4 as count from analytics.flow_groups join analytics.flow_groups_done using (partition)',
      );
      return (done[0]?.count ?? 0) >= partitions;
    });
    await measure('added up', true);
    await pool.query('delete from analytics.flow_groups_done');
    await measure('flow by flow', false);
    return rows;
  } finally {
    await pool.end();
    await pipeline.destroy();
  }
};
