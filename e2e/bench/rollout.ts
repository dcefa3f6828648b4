// SPDX-License-Identifier: Apache-2.0
/**
 * From a policy at the API to the last host of a large fleet that has it in force: real services, NATS and Postgres, and
 * agents that are real but for their kernel. The time of a host is when its acknowledgement arrives back here.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectBus, serviceInbox, subjects } from '@weir/bus';
import { callApi } from '@weir/infra/api';
import { createPipeline, until } from '@weir/infra/pipeline';
import { atMost, type BenchOptions, percentile, type Row } from './report.ts';

const MOST_MS = 300;
/** More would dial so long at once that the first give up. */
const AGENTS_PER_PROCESS = 125;
/** Each of a thousand hosts reads what a thousand have; two cores take minutes over it. */
const START_TIMEOUT_MS = 400_000;
const ROUND_TIMEOUT_MS = 30_000;

const document = (port: number): string => `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: bench, namespace: default }
spec:
  podSelector: { matchLabels: { app: bench } }
  ingress: [ { from: [ { podSelector: {} } ], ports: [ { port: ${port} } ] } ]
`;

export const rollout = async ({ smoke, long, onStep }: BenchOptions): Promise<Row[]> => {
  const [count, rounds] = smoke ? [4, 1] : [long ? 1000 : 200, 10];
  onStep(`a fleet of ${count} simulated hosts`);
  const hosts = Array.from({ length: count }, (_, i) => `h${i}`);
  const pipeline = await createPipeline({
    dir: mkdtempSync(join(tmpdir(), `weir-bench-${process.pid}-`)),
    hosts,
    // a /24 for each host
    serviceEnv: { WEIR_INVENTORY_POOL4: '10.64.0.0/12' },
  });
  const { control } = pipeline;
  const bus = await connectBus({
    servers: control.natsUrl,
    name: 'bench',
    nkeySeed: control.serviceSeed('policy'),
    inboxPrefix: serviceInbox('policy'),
  });
  try {
    const realised = new Map<string, { revision: number; at: number }>();
    bus.nc.subscribe(subjects.ack.wildcard, {
      callback: (_, { subject, data }) => {
        const host = subjects.ack.parse(subject)?.host;
        if (host === undefined) return;
        const revision = Number(subjects.ack.decode(data).realised.policy ?? 0n);
        if ((realised.get(host)?.revision ?? -1) < revision) realised.set(host, { revision, at: performance.now() });
      },
    });
    for (let at = 0; at < count; at += AGENTS_PER_PROCESS) {
      await pipeline.startAgents(hosts.slice(at, at + AGENTS_PER_PROCESS) as [string, ...string[]]);
    }
    const takes: number[] = [];
    for (let round = -1; round < rounds; round++) {
      const before = performance.now();
      const { revision } = await callApi<{ revision: number }>(`${control.urls.policy}/v1/policies`, {
        raw: { type: 'application/yaml', text: document(1000 + round + 1) },
      });
      const done = (host: string): boolean => (realised.get(host)?.revision ?? -1) >= revision;
      // The first round waits for the fleet to be up.
      await until(
        `${count} hosts to acknowledge`,
        round < 0 ? START_TIMEOUT_MS : ROUND_TIMEOUT_MS,
        async () => hosts.every(done),
        () => `${hosts.filter(done).length} of ${count} have`,
      );
      if (round < 0) onStep(`fleet is up, ${rounds} changes of a policy`);
      else takes.push(...hosts.map((host) => (realised.get(host)?.at ?? Number.NaN) - before));
    }
    const p99 = percentile(takes, 99);
    return [
      { metric: `policy at the API to ${count} hosts enforcing, p50`, value: percentile(takes, 50), unit: 'ms' },
      { metric: `policy at the API to ${count} hosts enforcing, p99`, value: p99, unit: 'ms', ...atMost(p99, MOST_MS) },
    ];
  } finally {
    await bus.close();
    await pipeline.destroy();
  }
};
