// SPDX-License-Identifier: Apache-2.0
/**
 * What events cost the agent: a real one drains the ring, encodes, spools and publishes them, while a flood (flood.ts) writes
 * them as fast as it is asked to. Every event must be stored, or counted as lost.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { createPool } from '@weir/db';
import { callApi } from '@weir/infra/api';
import { createFleet, until } from '@weir/infra/fleet';
import { cpuSeconds } from './cpu.ts';
import { atMost, type BenchOptions, type Row } from './report.ts';

const MOST_CPU_S = 0.35;
const PER_SECOND = 100_000;
const FLOOD = new URL('./flood.ts', import.meta.url).pathname;
const STORED_TIMEOUT_MS = 60_000;
const IDLE_MS = 10_000;

const REFUSE_ALL = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: refuse, namespace: default }
spec: { podSelector: {}, policyTypes: [ Egress ] }
`;

/** Of one processor, while nothing is asked of it. */
const idleShare = async (pid: number, ms: number): Promise<number> => {
  const [before, begun] = [cpuSeconds(pid), performance.now()];
  await sleep(ms);
  return ((cpuSeconds(pid) - before) * 1_000) / (performance.now() - begun);
};

interface Flooded {
  readonly written: number;
  /** Found no room in the ring; the kernel counts them. */
  readonly lost: number;
}

export const agentCost = async ({ smoke, onStep }: BenchOptions): Promise<Row[]> => {
  const events = smoke ? 20_000 : 1_000_000;
  onStep(`${events} events through a real agent`);
  const name = `be${process.pid}`;
  const fleet = await createFleet({ name, dir: join(tmpdir(), `weir-bench-${name}`), hosts: ['h1'] });
  const pool = createPool({ url: fleet.control.databaseUrl, name: 'bench', connectTimeoutMs: 30_000 });
  try {
    await fleet.addWorkload({ name: 'loud', host: 'h1', labels: { app: 'loud' } });
    const { revision } = await callApi<{ revision: number }>(`${fleet.control.urls.policy}/v1/policies`, {
      raw: { type: 'application/yaml', text: REFUSE_ALL },
    });
    await fleet.waitRealised(revision);
    const agent = fleet.agents.get('h1');
    if (!agent) throw new Error('the fleet has no agent');
    const stored = async (): Promise<number> => {
      const { rows } = await pool.query<{ stored: string }>(
        'select coalesce(sum(stored), 0) as stored from analytics.agents',
      );
      return Number(rows[0]?.stored);
    };
    const idle = await idleShare(agent.process.pid, smoke ? 100 : IDLE_MS);
    const storedBefore = await stored();
    const cpuBefore = cpuSeconds(agent.process.pid);
    const begun = performance.now();
    const flood = spawn(
      'nsenter',
      [
        `--net=/run/netns/${fleet.host('h1').netns}`,
        ...[process.execPath, FLOOD, agent.bpffs, String(events), String(PER_SECOND)],
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let report: Flooded | undefined;
    createInterface({ input: flood.stdout }).on('line', (line) => {
      report = JSON.parse(line);
    });
    await once(flood, 'close');
    if (!report) throw new Error('the flood ended without a report');
    const { written, lost } = report;
    await until(
      'all events to be stored',
      STORED_TIMEOUT_MS,
      async () => (await stored()) - storedBefore >= written,
      () => `${written} were written`,
    );
    const seconds = (performance.now() - begun) / 1000;
    const kept = (await stored()) - storedBefore;
    const each = ((cpuSeconds(agent.process.pid) - cpuBefore) * 1_000_000) / kept;
    const above = each - (idle * seconds * 1_000_000) / kept;
    // Other connections of the fleet may be reported meanwhile, never fewer than were written.
    const uncounted = Math.max(0, written - kept);
    return [
      {
        metric: 'agent: drain, encode, spool, publish; CPU per million flows',
        value: each,
        unit: 's',
        ...atMost(each, MOST_CPU_S),
      },
      { metric: 'agent: the same above what it takes idle', value: above, unit: 's' },
      { metric: 'agent: idle, of a processor', value: idle * 100, unit: '%' },
      { metric: 'agent: flows from ring to table', value: kept / seconds, unit: 'flows/s' },
      { metric: 'agent: events without room in the ring, counted', value: lost, unit: 'events' },
      { metric: 'agent: events neither stored nor counted', value: uncounted, unit: 'events', ...atMost(uncounted, 0) },
    ];
  } finally {
    await pool.end();
    await fleet.destroy();
  }
};
