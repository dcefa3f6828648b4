// SPDX-License-Identifier: Apache-2.0
/**
 * S17: nobody gets in under another's name. Labels, names and namespaces that would make somebody else of a workload are refused; what a
 * workload sends from a friend's address does not leave it; and an address that was a friend's a moment ago is the next owner's
 * only when no host takes it for the friend's any more, a host that hears nothing just now among them.
 */
import type { TestContext } from 'node:test';
import { ApiError, callApi } from '@weir/infra/api';
import {
  type Drive,
  type Fleet,
  PATIENT_TIMEOUT_MS,
  type Place,
  Station,
  until,
  type Workload,
} from '@weir/infra/fleet';
import { inNetns } from '@weir/infra/netns';
import { applyPolicy } from '../../faults/fleet/policy.ts';
import { report } from '../../lib/figures.ts';
import { size } from '../../lib/size.ts';

const ROUNDS = size({ short: 1, long: 30 });
const NAMESPACE = 'spoof';
const PORT = 53;
/** As a friend, whom the server's policy names. */
const FRIEND = { app: 'friend' };
/** Fixed addresses, of no pool. */
const IP4 = '192.0.2.117';
const IP6 = '2001:db8:17::117';
const SENT_MS = 400;
const HEARD_MS = 60_000;

const POLICY = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'server', namespace: NAMESPACE },
  spec: {
    podSelector: { matchLabels: { app: 'server' } },
    policyTypes: ['Ingress'],
    ingress: [
      { from: [{ podSelector: { matchLabels: FRIEND } }], ports: [{ port: PORT, protocol: 'UDP' }] },
      { from: [{ namespaceSelector: { matchLabels: { tenant: 'gold' } } }] },
    ],
  },
};

/** What somebody says who wants to be taken for another. */
const LIES: Readonly<Record<string, object>> = {
  'a reserved identity': { name: 'liar', labels: { 'reserved:host': '' } },
  'a namespace by its label': { name: 'liar', labels: { 'io.kubernetes.pod.namespace': NAMESPACE } },
  'a label of a namespace': { name: 'liar', labels: { 'io.cilium.k8s.namespace.labels.tenant': 'gold' } },
  'a source of labels': { name: 'liar', labels: { 'k8s:app': 'friend' } },
  'two labels in one': { name: 'liar', labels: { app: 'a\nk8s:app=friend' } },
  'the id of another': { name: 'x', namespace: `${NAMESPACE}.server` },
  'a name with a namespace in it': { name: `${NAMESPACE}.friend` },
};

const refusal = async (url: string, body: object, method?: string): Promise<number> => {
  try {
    await callApi(url, { body, ...(method ? { method } : {}) });
    return 200;
  } catch (error) {
    if (error instanceof ApiError) return error.status;
    throw error;
  }
};

/** Until each of the drives has sent some; what is sent while the interface is not there counts for nothing. */
const untilTried = async (drives: readonly Drive[]): Promise<void> => {
  let last = '';
  await until(
    'those who may not to have tried',
    HEARD_MS,
    async () => {
      const reports = await Promise.all(drives.map((drive) => drive.report()));
      last = JSON.stringify(reports);
      return reports.every(({ sent }) => sent > 5);
    },
    () => last,
  );
};

const liesTold = async (fleet: Fleet, host: string): Promise<string[]> => {
  const { inventory } = fleet.control.urls;
  const told: string[] = [];
  for (const [what, lie] of Object.entries(LIES)) {
    const status = await refusal(`${inventory}/v1/workloads`, { host, namespace: 'liars', ...lie });
    if (status !== 422) told.push(`${what}: ${status}`);
  }
  const named = await refusal(
    `${inventory}/v1/namespaces/liars`,
    { labels: { 'kubernetes.io/metadata.name': NAMESPACE } },
    'PUT',
  );
  if (named !== 422) told.push(`a namespace under another's name: ${named}`);
  return told;
};

interface Counted {
  readonly sent: number;
  readonly arrived: number;
}

/** Root in a workload gives it a friend's addresses and sends from them. */
const fromOthersAddress = async (server: Workload, friend: Workload, thief: Workload): Promise<Counted> => {
  inNetns(thief.netns, 'ip', 'addr', 'add', `${friend.ip4}/32`, 'dev', 'eth0');
  inNetns(thief.netns, 'ip', 'addr', 'add', `${friend.ip6}/128`, 'dev', 'eth0', 'nodad');
  const disguised = new Station(thief, { ip4: friend.ip4, ip6: friend.ip6 });
  const before = (await server.served()).datagrams;
  const drives = await Promise.all(
    [server.ip4, server.ip6].map((host) =>
      disguised.open({ protocol: 'udp', host, port: PORT, tickMs: 20, timeoutMs: 300 }),
    ),
  );
  await untilTried(drives);
  const reports = await Promise.all(drives.map((drive) => drive.stop({ drainMs: SENT_MS })));
  inNetns(thief.netns, 'ip', 'addr', 'del', `${friend.ip4}/32`, 'dev', 'eth0');
  inNetns(thief.netns, 'ip', 'addr', 'del', `${friend.ip6}/128`, 'dev', 'eth0');
  return {
    sent: reports.reduce((sum, { sent }) => sum + sent, 0),
    arrived: (await server.served()).datagrams - before,
  };
};

/** Undefined: its address is still another's for some host. */
const registered = async (fleet: Fleet, place: Place): Promise<Workload | undefined> => {
  try {
    return await fleet.register(place, 0);
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) return undefined;
    throw error;
  }
};

export const spoofing = async (t: TestContext, fleet: Fleet): Promise<void> => {
  const [near, far] = fleet.options.hosts as readonly [string, string];
  const serverAgent = fleet.agents.get(far) as NonNullable<ReturnType<Fleet['agents']['get']>>;
  await applyPolicy(fleet, POLICY);
  const told = await liesTold(fleet, near);
  const [server, thief] = (await fleet.addWorkloads([
    { name: 'server', namespace: NAMESPACE, host: far, labels: { app: 'server' }, udp: [PORT] },
    { name: 'thief', namespace: NAMESPACE, host: near, labels: { app: 'thief' } },
  ])) as [Workload, Workload];
  const place = { host: near, namespace: NAMESPACE, ip4: IP4, ip6: IP6 };

  let tried = 0;
  let stale = 0;
  let early = 0;
  let disguise: Counted = { sent: 0, arrived: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const friend = await fleet.addWorkload({ ...place, name: `friend${round}`, labels: FRIEND });
    await until('the friend to be answered', HEARD_MS, async () => {
      const asks = [server.ip4, server.ip6].map((host) => ({ host, port: PORT, localPort: 20_000, timeoutMs: 1_000 }));
      return (await friend.probes(asks.map((ask) => ({ protocol: 'udp' as const, ...ask })))).every(({ ok }) => ok);
    });
    if (round === 0) disguise = await fromOthersAddress(server, friend, thief);

    // The host of the server hears nothing of what comes now, and goes on judging.
    serverAgent.pause();
    const next = await fleet.makePlace({ ...place, name: `stranger${round}`, labels: { app: 'stranger' } });
    await fleet.removeWorkload(friend.id);
    const drives = await Promise.all(
      [server.ip4, server.ip6].map((host) =>
        next.station.open({
          ...{ protocol: 'udp', host, port: PORT, localPort: 20_000, tickMs: 20, timeoutMs: 300, atLinkUp: true },
        }),
      ),
    );
    const before = (await server.served()).datagrams;
    // Refused until every host has heard; if it is given all the same, it should be harmless.
    let stranger = await registered(fleet, next);
    if (stranger) {
      early++;
      await untilTried(drives);
    }
    serverAgent.resume();
    await until('the address to be free', HEARD_MS, async () => {
      stranger ??= await registered(fleet, next);
      return stranger !== undefined;
    });
    await untilTried(drives);
    const reports = await Promise.all(drives.map((drive) => drive.stop({ drainMs: SENT_MS })));
    tried += reports.reduce((sum, { sent }) => sum + sent, 0);
    stale += (await server.served()).datagrams - before;
    await fleet.removeWorkload((stranger as Workload).id);
  }
  const open = await server.probe({ protocol: 'icmp', host: thief.ip4, timeoutMs: PATIENT_TIMEOUT_MS });
  report(
    t,
    'S17',
    {
      lies: Object.keys(LIES).length + 1,
      believed: told.join('; ') || 'none',
      sent_from_others_address: disguise.sent,
      of_them_arrived: disguise.arrived,
      reused: ROUNDS,
      given_before_all_had_heard: early,
      stranger_sent: tried,
      stale_allows: stale,
    },
    [
      ['every lie is refused', told.length === 0],
      ['0 packets from another’s address arrive', disguise.sent > 0 && disguise.arrived === 0],
      ['0 stale allows', tried > 0 && stale === 0],
      ['an address goes over only when every host has heard', early === 0],
      ['the server lives', open.ok],
    ],
  );
  await Promise.all([server, thief].map(({ id }) => fleet.removeWorkload(id)));
};
