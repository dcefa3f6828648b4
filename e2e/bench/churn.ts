// SPDX-License-Identifier: Apache-2.0
/**
 * Identity and policy churn: a fleet of simulated agents (the agent's own code, no kernel) on real NATS and Postgres, its
 * labels and policies changed through the public APIs without a pause. How long until a change is realised on every
 * host, what each service takes for it, and whether anything grows.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPipeline, type Pipeline } from '@weir/infra/pipeline';
import { type ChurnSize, change, fill, hostName, Realised, waitAlive } from './churn-load.ts';
import { growthPerMinute, type Sample, Sampler } from './churn-samples.ts';
import { type Part, percentile, type Row } from './report.ts';

export interface ChurnFigures {
  readonly fillWorkloadsMs: number;
  readonly fillPoliciesMs: number;
  /** Milliseconds of each change. */
  readonly labels: readonly number[];
  readonly policies: readonly number[];
  readonly samples: readonly Sample[];
}

/** Simulated agents in one process: as many processes as cores leave the services some. */
const AGENTS_PER_PROCESS = 50;
const SAMPLE_MS = 1_000;

const startAgents = async (pipeline: Pipeline, hosts: readonly string[]): Promise<number[]> => {
  const groups = Array.from({ length: Math.ceil(hosts.length / AGENTS_PER_PROCESS) }, (_, i) =>
    hosts.slice(i * AGENTS_PER_PROCESS, (i + 1) * AGENTS_PER_PROCESS),
  );
  const started = await Promise.all(groups.map((group) => pipeline.startAgents(group as [string, ...string[]])));
  return started.map(({ process: { pid } }) => pid);
};

/** `beforeEnd` sees the fleet when all is done and it still stands. */
export const runChurn = async (
  size: ChurnSize,
  onStep: (text: string) => void,
  beforeEnd: (pipeline: Pipeline) => Promise<void> = async () => {},
): Promise<ChurnFigures> => {
  const hosts = Array.from({ length: size.hosts }, (_, i) => hostName(i));
  const dir = join(tmpdir(), `weir-churn-${process.pid}`);
  const pipeline = await createPipeline({ dir, hosts, onStep });
  try {
    const { control } = pipeline;
    onStep(`${size.hosts} simulated agents`);
    const agents = await startAgents(pipeline, hosts);
    await waitAlive(control.urls, size.hosts);
    const realised = new Realised(control.urls);
    const { inventory, policy, analytics } = control.services;
    const sampler = new Sampler({
      services: { inventory: inventory.pid, policy: policy.pid, analytics: analytics.pid, nats: control.nats.pid },
      agents,
      postgres: control.postgres.pid,
      natsDir: join(dir, 'nats', 'jetstream'),
      databaseUrl: control.databaseUrl,
    });
    onStep(`${size.workloads} workloads, ${size.policies} policies`);
    const filled = await fill(control.urls, size, realised, onStep);
    onStep(
      `changes for ${size.durationMs / 1000} s, ${size.writers} of labels and ${size.writers} of policies at once`,
    );
    sampler.start(SAMPLE_MS);
    const changes = await change(control.urls, size, realised);
    const samples = await sampler.stop();
    await realised.stop();
    await beforeEnd(pipeline);
    return {
      fillWorkloadsMs: filled.workloadsMs,
      fillPoliciesMs: filled.policiesMs,
      ...changes,
      samples,
    };
  } finally {
    await pipeline.destroy();
  }
};

/** Times, then what each program took, then what grew. No goals: nobody has published figures to compare with. */
const rowsOf = ({ labels, policies, samples, ...filled }: ChurnFigures): Row[] => {
  const first = samples[0] as Sample;
  const last = samples.at(-1) as Sample;
  const changes = labels.length + policies.length;
  const ms = (metric: string, value: number): Row => ({ metric, value: Math.round(value), unit: 'ms' });
  const times = Object.entries({ labels, policies }).flatMap(([what, values]) => [
    { metric: `changes of ${what}`, value: (values.length / last.atS) * 60, unit: 'a minute' },
    ms(`${what}: realised on every host, p50`, percentile(values, 50)),
    ms(`${what}: realised on every host, p99`, percentile(values, 99)),
  ]);
  const taken = Object.entries(last.values).flatMap(([name, value]): Row[] => {
    const unit = name.split(' ').at(-1) as string;
    const metric = name.slice(0, -unit.length - 1);
    if (name.endsWith(' CPU s')) {
      const usedS = value - (first.values[name] ?? 0);
      return [{ metric: `${metric} for a change`, value: (usedS / changes) * 1000, unit: 'ms' }];
    }
    return [
      { metric, value, unit },
      { metric: `${metric}, growth`, value: growthPerMinute(samples, name), unit: `${unit}/min` },
    ];
  });
  return [
    ms('first workloads: all realised', filled.fillWorkloadsMs),
    ms('first policies: all realised', filled.fillPoliciesMs),
    ...times,
    ...taken,
  ];
};

export const SIZES = {
  smoke: { hosts: 10, workloads: 150, policies: 30, writers: 2, durationMs: 4_000 },
  short: { hosts: 200, workloads: 5_000, policies: 2_000, writers: 4, durationMs: 60_000 },
  long: { hosts: 200, workloads: 5_000, policies: 2_000, writers: 4, durationMs: 600_000 },
} as const satisfies Record<string, ChurnSize>;

export const churn: Readonly<Record<string, Part>> = {
  churn: async ({ long, smoke, onStep }) =>
    rowsOf(await runChurn(smoke ? SIZES.smoke : long ? SIZES.long : SIZES.short, onStep)),
};
