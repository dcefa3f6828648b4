// SPDX-License-Identifier: Apache-2.0
/**
 * Revisions that were published once come again in any order, twice each, from two publishers with old state: what an
 * agent has realised never goes back, and ends at the newest.
 */
import type { TestContext } from 'node:test';
import { CFG_ALL, subjects } from '@weir/bus';
import { callApi } from '@weir/infra/api';
import { type Pipeline, until } from '@weir/infra/pipeline';
import { report } from '../../lib/figures.ts';
import { size } from '../../lib/size.ts';
import { asHost, asService } from './bus.ts';

export const F21_HOST = 'f21';

const policy = (port: number): string =>
  JSON.stringify({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'f21', namespace: 'default' },
    spec: { podSelector: {}, ingress: [{ ports: [{ port }] }] },
  });

export const oldConfiguration = async (t: TestContext, pipeline: Pipeline): Promise<void> => {
  const { control } = pipeline;
  const revisions = size({ short: 60, long: 1_000 });
  await pipeline.startAgent(F21_HOST);
  const listener = await asHost(control, F21_HOST);
  const documents: { readonly subject: string; readonly data: Uint8Array }[] = [];
  listener.nc.subscribe(CFG_ALL, {
    callback: (_, { subject, data }) => {
      if (subject.includes('.cfg.policy.')) documents.push({ subject, data: Uint8Array.from(data) });
    },
  });
  const publishers = await Promise.all([asService(control, 'policy'), asService(control, 'policy')]);
  const realised: bigint[] = [];
  publishers[0]?.nc.subscribe(subjects.ack.build({ host: F21_HOST }), {
    callback: (_, { data }) => void realised.push(subjects.ack.decode(data).realised.policy ?? 0n),
  });
  await Promise.all([listener, ...publishers].map(({ nc }) => nc.flush()));
  const apply = async (port: number): Promise<number> =>
    (
      await callApi<{ revision: number }>(`${control.urls.policy}/v1/policies`, {
        raw: { type: 'application/json', text: policy(port) },
      })
    ).revision;
  const reaches = (revision: number): Promise<void> =>
    until(
      `revision ${revision} to be realised`,
      60_000,
      async () => (realised.at(-1) ?? 0n) >= BigInt(revision),
      () => `${realised.slice(-5)}`,
    );
  let newest = 0;
  for (let i = 0; i < revisions; i++) newest = await apply(1 + i);
  await until('all are heard', 60_000, async () => documents.length >= revisions);
  await reaches(newest);

  const old = documents.slice(0, revisions - 1);
  const replay = [...old, ...old]
    .map((document, i) => ({ document, order: (i * 7_919) % 1_009 }))
    .sort((a, b) => a.order - b.order);
  const before = realised.length;
  await Promise.all(
    publishers.map(async ({ js }, half) => {
      for (const [i, { document }] of replay.entries())
        if (i % 2 === half) await js.publish(document.subject, document.data);
    }),
  );
  await listener.nc.flush();
  // Something new is realised after all of that was heard: nothing is on its way any more.
  newest = await apply(revisions + 1);
  await reaches(newest);
  const regressions = realised.filter((revision, i) => i > 0 && revision < (realised[i - 1] ?? 0n)).length;
  const status = await pipeline.agents
    .get(F21_HOST)
    ?.ask<{ configuration: { older: number } }>('/status')
    .then(({ configuration }) => Number(configuration.older));
  report(
    t,
    'F21',
    {
      revisions,
      replayed: replay.length,
      refused_as_older: status ?? 0,
      acks: realised.length,
      regressions,
      ends_at: `${realised.at(-1)}/${newest}`,
    },
    [
      ['0 regressions', regressions === 0],
      ['ends at the newest', realised.at(-1) === BigInt(newest)],
      ['old ones are refused', (status ?? 0) >= replay.length],
      ['acks were heard', realised.length > before],
    ],
  );
  await Promise.all([listener, ...publishers].map((bus) => bus.close()));
  await pipeline.stopAgents();
};
