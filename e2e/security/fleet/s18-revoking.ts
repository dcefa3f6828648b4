// SPDX-License-Identifier: Apache-2.0
/**
 * S18: access that is taken back is gone, by whatever made it: a workload's label, its namespace's, a prefix of a group, the whole group, a
 * service, the rule itself. Clients hold connections and make new ones meanwhile; new ones must end, and those that are held are
 * cut when it was the policy that let them in.
 */
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { callApi } from '@weir/infra/api';
import { type External, type Fleet, PATIENT_TIMEOUT_MS, type Station, until, type Workload } from '@weir/infra/fleet';
import { applyPolicy } from '../../faults/fleet/policy.ts';
import { report } from '../../lib/figures.ts';
import { isLong, size } from '../../lib/size.ts';

const ROUNDS = size({ short: 1, long: 20 });
const NAMESPACE = 'revoked';
const PORT = 80;
const VIP = { ip4: '203.0.113.118', ip6: '2001:db8:18::118' };
const VIP_PORT = 8080;
const OUTSIDE = { ip4: '198.51.100.118', ip6: '2001:db8:51::118' };
const TICK_MS = 50;
const REFUSED_MS = 250;
const MARK_MS = 2_000;
const PATIENCE_MS = 60_000;

const policy = (peer: object) => ({
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumNetworkPolicy',
  metadata: { name: 'server', namespace: NAMESPACE },
  spec: { endpointSelector: { matchLabels: { app: 'server' } }, ingress: [peer] },
});
const byLabel = policy({ fromEndpoints: [{ matchLabels: { role: 'friend' } }] });
const byNamespace = policy({
  fromEndpoints: [
    { matchLabels: { 'io.kubernetes.pod.namespace': 'guests', 'io.cilium.k8s.namespace.labels.tenant': 'gold' } },
  ],
});
const byGroup = policy({ fromCIDRSet: [{ cidrGroupRef: 'partners' }] });
const group = (externalCIDRs: readonly string[]) => ({
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumCIDRGroup',
  metadata: { name: 'partners' },
  spec: { externalCIDRs },
});

interface Access {
  readonly what: string;
  readonly client: Station;
  readonly targets: readonly { readonly host: string; readonly port: number }[];
  give(): Promise<void>;
  /** A service is a name, no permission: connections through one that is gone stay as long as the policy lets them. */
  readonly heldStay?: boolean;
  /** The call that takes it back. */
  take(): Promise<unknown>;
}

interface Outcome {
  readonly what: string;
  readonly newMs: number;
  readonly heldMs: number;
  readonly later: number;
}

const revoke = async ({ what, client, targets, heldStay = false, give, take }: Access): Promise<Outcome> => {
  await give();
  const asks = (timeoutMs: number) => targets.map((to) => ({ protocol: 'tcp' as const, ...to, timeoutMs }));
  await until(`${what} to give access`, PATIENCE_MS, async () =>
    (await client.probes(asks(PATIENT_TIMEOUT_MS))).every(({ ok }) => ok),
  );
  const held = await Promise.all(
    targets.map((to) => client.hold({ ...to, connections: 2, tickMs: TICK_MS, stallMs: 60_000 })),
  );
  const answered = async (): Promise<number> =>
    (await Promise.all(held.map((drive) => drive.report()))).reduce((sum, one) => sum + one.answered, 0);
  const startMs = performance.now();
  await take();
  let newMs = 0;
  await until(`${what} to take access`, PATIENCE_MS, async () => {
    const at = performance.now();
    const outcomes = await client.probes(asks(REFUSED_MS));
    newMs = at - startMs;
    return outcomes.every(({ ok }) => !ok);
  });
  let heldMs = 0;
  await until(`connections by ${what} to be ${heldStay ? 'as before' : 'cut'}`, PATIENCE_MS, async () => {
    heldMs = heldStay ? 0 : performance.now() - startMs;
    const before = await answered();
    await sleep(6 * TICK_MS);
    return heldStay === (await answered()) > before;
  });
  // Nothing of it comes back.
  const before = await answered();
  const again = await client.probes([...asks(REFUSED_MS), ...asks(REFUSED_MS)]);
  const later = again.filter(({ ok }) => ok).length + (heldStay ? 0 : (await answered()) - before);
  await Promise.all(held.map((drive) => drive.stop()));
  return { what, newMs, heldMs, later };
};

export const revoking = async (t: TestContext, fleet: Fleet): Promise<void> => {
  const [near, far] = fleet.options.hosts as readonly [string, string];
  const { inventory, policy: policies } = fleet.control.urls;
  const [server, friend, guest] = (await fleet.addWorkloads([
    { name: 'server', namespace: NAMESPACE, host: far, labels: { app: 'server' }, tcp: [PORT] },
    { name: 'friend', namespace: NAMESPACE, host: near, labels: { app: 'friend', role: 'friend' } },
    { name: 'guest', namespace: 'guests', host: near, labels: { app: 'guest' } },
  ])) as [Workload, Workload, Workload];
  const outside: External = await fleet.addExternal({ name: 'outside', ...OUTSIDE });
  const direct = [server.ip4, server.ip6].map((host) => ({ host, port: PORT }));
  const inventoryPut = async (path: string, body: object, method = 'PUT'): Promise<void> => {
    const { revision } = await callApi<{ revision: number }>(`${inventory}${path}`, { method, body });
    await fleet.waitReported('inventory', revision, PATIENCE_MS);
  };
  const relabel = (labels: object) =>
    callApi(`${inventory}/v1/workloads/${friend.id}`, { method: 'PATCH', body: { labels } });
  const rename = (labels: object) => callApi(`${inventory}/v1/namespaces/guests`, { method: 'PUT', body: { labels } });
  const post = (document: object) => callApi(`${policies}/v1/policies`, { body: document });
  const drop = (path: string) => callApi(`${policies}/v1/policies/${path}`, { method: 'DELETE' });
  const service = {
    frontends: Object.values(VIP).map((address) => ({
      ...{ type: 'external-ip', address, port: VIP_PORT, protocol: 'TCP', port_name: 'web' },
    })),
    targets: [{ port_name: 'web', port: PORT, protocol: 'TCP' }],
    selector: { match_labels: { app: 'server' } },
  };
  const withPartner = group([`${OUTSIDE.ip4}/32`, `${OUTSIDE.ip6}/128`]);

  const accesses: readonly Access[] = [
    {
      what: 'a label of the workload',
      client: friend,
      targets: direct,
      give: async () => {
        await relabel({ app: 'friend', role: 'friend' });
        await applyPolicy(fleet, byLabel);
      },
      take: () => relabel({ app: 'friend' }),
    },
    {
      what: 'a label of the namespace',
      client: guest,
      targets: direct,
      give: async () => {
        await rename({ tenant: 'gold' });
        await applyPolicy(fleet, byNamespace);
      },
      take: () => rename({}),
    },
    {
      what: 'a prefix of a group',
      client: outside,
      targets: direct,
      give: async () => {
        await applyPolicy(fleet, withPartner);
        await applyPolicy(fleet, byGroup);
      },
      take: () => post(group([])),
    },
    {
      what: 'a whole group',
      client: outside,
      targets: direct,
      give: () => applyPolicy(fleet, withPartner),
      take: () => drop('CiliumCIDRGroup/-/partners'),
    },
    {
      what: 'a service',
      client: friend,
      targets: Object.values(VIP).map((host) => ({ host, port: VIP_PORT })),
      heldStay: true,
      give: async () => {
        await relabel({ app: 'friend', role: 'friend' });
        await applyPolicy(fleet, byLabel);
        await inventoryPut(`/v1/services/${NAMESPACE}.front`, service);
      },
      take: () => callApi(`${inventory}/v1/services/${NAMESPACE}.front`, { method: 'DELETE' }),
    },
    {
      what: 'the rule',
      client: friend,
      targets: direct,
      give: async () => {
        await relabel({ app: 'friend', role: 'friend' });
        await applyPolicy(fleet, byLabel);
      },
      take: () => post(byNamespace),
    },
  ];
  const outcomes: Outcome[] = [];
  for (let round = 0; round < ROUNDS; round++) for (const access of accesses) outcomes.push(await revoke(access));
  const slowest = (field: 'newMs' | 'heldMs'): number => Math.round(Math.max(...outcomes.map((one) => one[field])));
  const slow = outcomes.filter((one) => one.newMs > MARK_MS || one.heldMs > MARK_MS);
  const later = outcomes.filter((one) => one.later > 0).map(({ what }) => what);
  report(
    t,
    'S18',
    {
      revoked: outcomes.length,
      by: new Set(outcomes.map(({ what }) => what)).size,
      new_refused_after_ms: slowest('newMs'),
      held_cut_after_ms: slowest('heldMs'),
      slow: slow.map(({ what }) => what).join('; ') || 'none',
      came_back: later.join('; ') || 'none',
    },
    [
      ['new connections are refused and held ones cut', outcomes.length === ROUNDS * accesses.length],
      ['within 2 s', !isLong || slow.length === 0],
      ['none comes back', later.length === 0],
    ],
  );
  await fleet.removeExternal(outside);
  await Promise.all([server, friend, guest].map(({ id }) => fleet.removeWorkload(id)));
};
