// SPDX-License-Identifier: Apache-2.0
/**
 * F30: what the API says of a host is true. A policy is changed over and over; the moment the API says that the
 * server's host holds it, the pair that changed is asked with one datagram each, which nobody sends again. And a host
 * that cannot take a policy is said to have failed.
 */
import type { TestContext } from 'node:test';
import { callApi } from '@weir/infra/api';
import { type Fleet, PATIENT_TIMEOUT_MS, type Workload } from '@weir/infra/fleet';
import { startSimulatedAgent } from '@weir/infra/simulated';
import { report } from '../../lib/figures.ts';
import { isLong, size } from '../../lib/size.ts';
import { hostStates, putPolicy } from './policy.ts';

const UPDATES = size({ short: 25, long: 500 });
const PORT = 53;
const SILENCE_MS = 150;
const WAIT_S = 30;

const only = (app: string) => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'server', namespace: 'default' },
  spec: {
    podSelector: { matchLabels: { app: 'server' } },
    policyTypes: ['Ingress'],
    ingress: [{ from: [{ podSelector: { matchLabels: { app } } }], ports: [{ port: PORT, protocol: 'UDP' }] }],
  },
});

/** More entries than the map of a workload holds: 450 prefixes, 40 ports. */
const TOO_LARGE = {
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumNetworkPolicy',
  metadata: { name: 'too-large', namespace: 'default' },
  spec: {
    endpointSelector: { matchLabels: { app: 'ann' } },
    egress: [
      {
        toCIDR: Array.from({ length: 450 }, (_, i) => `100.64.${i >> 8}.${i & 255}/32`),
        // Apart from each other, so that no two become one range.
        toPorts: [{ ports: Array.from({ length: 40 }, (_, i) => ({ port: `${1_001 + 2 * i}`, protocol: 'TCP' })) }],
      },
    ],
  },
};

const quantile = (values: readonly number[], share: number): number =>
  Math.round([...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0);

export const acknowledgement = async (t: TestContext, fleet: Fleet, server: Workload): Promise<void> => {
  const [ownHost, otherHost] = [server.spec.host, fleet.options.hosts.find((host) => host !== server.spec.host)];
  const [ann, bob] = (await fleet.addWorkloads([
    { name: 'ann', host: otherHost as string, labels: { app: 'ann' } },
    { name: 'bob', host: ownHost, labels: { app: 'bob' } },
  ])) as [Workload, Workload];
  // Beside the real agents: as many as the row says altogether, without addresses, so that nobody sends to them.
  const { resources, logDir, control, options } = fleet;
  const { simulatedHosts = [] } = options;
  for (const name of simulatedHosts) await callApi(`${fleet.control.urls.inventory}/v1/hosts`, { body: { name } });
  const [first, ...more] = simulatedHosts;
  const simulated =
    first === undefined
      ? undefined
      : await startSimulatedAgent({ dir: options.dir, resources, logDir, control }, [first, ...more]);
  const contradictions: string[] = [];
  const realisedMs: number[] = [];
  let notRealised = 0;
  for (let update = 0; update < UPDATES; update++) {
    const [friend, stranger] = update % 2 ? [ann, bob] : [bob, ann];
    const started = performance.now();
    const revision = await putPolicy(fleet, only(friend.spec.name));
    const states = await hostStates(fleet, revision, WAIT_S);
    realisedMs.push(performance.now() - started);
    if (states.find(({ host }) => host === ownHost)?.state !== 'realised') notRealised++;
    const host = update % 4 < 2 ? server.ip4 : server.ip6;
    const ask = { protocol: 'udp', host, port: PORT } as const;
    const [allowed, refused] = await Promise.all([
      friend.probe({ ...ask, timeoutMs: isLong ? 2_000 : PATIENT_TIMEOUT_MS }),
      stranger.probe({ ...ask, timeoutMs: SILENCE_MS }),
    ]);
    if (!allowed.ok) contradictions.push(`update ${update}: ${friend.id} ${allowed.outcome}`);
    if (refused.ok) contradictions.push(`update ${update}: ${stranger.id} answered`);
  }
  for (const contradiction of contradictions) t.diagnostic(contradiction);
  const tooLarge = await hostStates(fleet, await putPolicy(fleet, TOO_LARGE), WAIT_S);
  const failed = tooLarge.find(({ host }) => host === otherHost);
  const others = tooLarge.filter(({ host }) => host !== otherHost);
  const { revision } = await callApi<{ revision: number }>(
    `${fleet.control.urls.policy}/v1/policies/CiliumNetworkPolicy/default/too-large`,
    { method: 'DELETE' },
  );
  // Until a host has spoken of the deletion, what it said before still counts.
  await fleet.waitRealised(revision, WAIT_S * 1_000);
  const repaired = await hostStates(fleet, revision, 0);
  const p99 = quantile(realisedMs, 0.99);
  await simulated?.process.stop();
  report(
    t,
    'F30',
    {
      updates: UPDATES,
      hosts: fleet.options.hosts.length + simulatedHosts.length,
      told: tooLarge.length,
      contradictions: contradictions.length,
      not_realised: notRealised,
      realised_p50_ms: quantile(realisedMs, 0.5),
      realised_p99_ms: p99,
      too_large: `${failed?.state}`,
    },
    [
      ['0 contradictions', contradictions.length === 0],
      ['every update is realised', notRealised === 0],
      ['every host is told of', tooLarge.length === fleet.options.hosts.length + simulatedHosts.length],
      ['realised p99 <= 2 s', !isLong || p99 <= 2_000],
      [`the host that failed shows failed, and why`, failed?.state === 'failed' && /entries/.test(failed.error ?? '')],
      ['the others realised it', others.length > 0 && others.every(({ state }) => state === 'realised')],
      ['with the policy gone, all realised', repaired.every(({ state }) => state === 'realised')],
    ],
  );
};
