// SPDX-License-Identifier: Apache-2.0
/**
 * F06: a host has booted and its agent comes late. Nothing of Weir is in the kernel: no pin, no interface, no filter, no route. The
 * control plane cannot be reached. Peers who may and who may not ask all the time, and a workload of the host tries to get out: first
 * until the agent has put in force what was signed last, then with a disk that knows nothing, where everything stays closed. The
 * host's own policy shuts everything but the failsafe ports, which must stay reachable all the time.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { callApi } from '@weir/infra/api';
import { type Drive, type Fleet, until, type Workload } from '@weir/infra/fleet';
import { inNetns } from '@weir/infra/netns';
import { report } from '../../lib/figures.ts';
import { size } from '../../lib/size.ts';
import { applyPolicy } from './policy.ts';

const DELAY_MS = size({ short: 300, long: 60_000 });
const NAMESPACE = 'boot';
const ALLOWED_PORT = 80;
const FORBIDDEN_PORT = 53;
const FAILSAFE_PORT = 22;
/** Of the host itself. */
const SHUT_PORT = 8080;
const SINK_PORT = 9;
const TICK_MS = size({ short: 20, long: 50 });
/** Longer than an answer takes, also of an emulated machine. */
const SILENCE_MS = 1_500;
/** Nobody listens there. */
const NO_CONTROL_PLANE = { WEIR_AGENT_NATS_URL: 'nats://127.0.0.1:1' };

const POLICIES = [
  {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'server', namespace: NAMESPACE },
    spec: {
      podSelector: { matchLabels: { app: 'server' } },
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ podSelector: { matchLabels: { app: 'friend' } } }], ports: [{ port: ALLOWED_PORT }] }],
    },
  },
  {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'jailed', namespace: NAMESPACE },
    spec: { podSelector: { matchLabels: { app: 'jailed' } }, policyTypes: ['Egress'] },
  },
  {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumClusterwideNetworkPolicy',
    metadata: { name: NAMESPACE },
    spec: { nodeSelector: {}, ingress: [{ fromEntities: ['none'] }] },
  },
];

type AgentHandle = NonNullable<ReturnType<Fleet['agents']['get']>>;

export interface BootPlace {
  /** Its agent is late. */
  readonly host: string;
  /** Has a living agent. */
  readonly other: string;
  /** For what should come about. */
  readonly patienceMs: number;
}

/** Folder and files of a host after a boot: what was in the kernel is gone, what was on the disk is there. */
const boot = async (fleet: Fleet, agent: AgentHandle): Promise<number> => {
  await agent.kill();
  const { netns, uplink } = fleet.host(agent.host);
  for (const name of readdirSync(agent.bpffs)) rmSync(join(agent.bpffs, name), { recursive: true });
  const links = JSON.parse(inNetns(netns, 'ip', '-json', 'link')) as readonly { readonly ifname: string }[];
  const ours = links.filter(({ ifname }) => /^(wr[0-9a-f]{8}|weir_.*)$/.test(ifname));
  for (const { ifname } of ours) inNetns(netns, 'ip', 'link', 'del', ifname);
  if (inNetns(netns, 'tc', 'qdisc', 'show', 'dev', uplink).includes('clsact'))
    inNetns(netns, 'tc', 'qdisc', 'del', 'dev', uplink, 'clsact');
  for (const family of ['-4', '-6']) inNetns(netns, 'ip', family, 'route', 'flush', 'proto', '87');
  return ours.length;
};

const register = async (fleet: Fleet, { host, other, patienceMs }: BootPlace): Promise<Workload[]> => {
  const specs = [
    { name: 'server', host, labels: { app: 'server' }, tcp: [ALLOWED_PORT], udp: [FORBIDDEN_PORT] },
    { name: 'jailed', host, labels: { app: 'jailed' } },
    { name: 'friend', host: other, labels: { app: 'friend' } },
    { name: 'stranger', host: other, labels: { app: 'stranger' } },
    { name: 'sink', host: other, labels: { app: 'sink' }, udp: [SINK_PORT] },
  ].map((spec) => ({ ...spec, namespace: NAMESPACE }));
  const workloads = await Promise.all(specs.map(async (spec) => fleet.register(await fleet.makePlace(spec))));
  await Promise.all(workloads.map(({ id }) => fleet.waitWorkloadReady(id, patienceMs)));
  return workloads;
};

export const bootWindow = async (t: TestContext, fleet: Fleet, place: BootPlace): Promise<void> => {
  const { host, other, patienceMs } = place;
  const agent = fleet.agents.get(host) as AgentHandle;
  for (const policy of POLICIES) await applyPolicy(fleet, policy, patienceMs);
  const workloads = await register(fleet, place);
  const [server, jailed, friend, stranger, sink] = workloads as [Workload, Workload, Workload, Workload, Workload];
  const ends = [server.ip4, server.ip6];
  const reaches = async (timeoutMs: number): Promise<boolean> =>
    (
      await Promise.all(ends.map((end) => friend.probe({ protocol: 'tcp', host: end, port: ALLOWED_PORT, timeoutMs })))
    ).every(({ ok }) => ok);
  await until('the friend to be answered', patienceMs, () => reaches(patienceMs));

  // What is allowed on the host's own addresses must never be in doubt: that is the way in to mend it.
  const [self, neighbour] = await Promise.all([fleet.hostStation(host), fleet.hostStation(other)]);
  await self.listen({ tcp: [FAILSAFE_PORT, SHUT_PORT] });
  const { ip4, ip6 } = fleet.host(host);
  const isShut = async (): Promise<boolean> =>
    !(
      await Promise.all(
        [ip4, ip6].map((address) =>
          neighbour.probe({ protocol: 'tcp', host: address, port: SHUT_PORT, timeoutMs: SILENCE_MS }),
        ),
      )
    ).some(({ ok }) => ok);
  const shutBefore = await isShut();
  const failsafe = await Promise.all(
    [ip4, ip6].map((address) =>
      neighbour.open({
        ...{ protocol: 'tcp', host: address, port: FAILSAFE_PORT, tickMs: TICK_MS, timeoutMs: patienceMs },
      }),
    ),
  );
  const before = { server: (await server.served()).datagrams, sink: (await sink.served()).datagrams };
  const knocks: readonly Drive[] = await Promise.all([
    // Datagrams that arrive are counted where they arrive, whether they are answered or not.
    ...ends.flatMap((end) => [
      stranger.open({ protocol: 'udp', host: end, port: FORBIDDEN_PORT, tickMs: TICK_MS, timeoutMs: 500 }),
      stranger.open({ protocol: 'tcp', host: end, port: ALLOWED_PORT, tickMs: TICK_MS, timeoutMs: 500 }),
    ]),
    ...[sink.ip4, sink.ip6].map((end) =>
      jailed.open({
        ...{ protocol: 'udp', host: end, port: SINK_PORT, tickMs: TICK_MS, timeoutMs: 500, atLinkUp: true },
      }),
    ),
  ]);
  const sent = async (): Promise<number> =>
    (await Promise.all(knocks.map((drive) => drive.report()))).reduce((sum, one) => sum + one.sent, 0);

  const removed = await boot(fleet, agent);
  const passedWhileAway = await reaches(200);
  await sleep(DELAY_MS);
  await agent.start(NO_CONTROL_PLANE);
  const readyAt = performance.now();
  await until('what was signed last to be in force', patienceMs, () => reaches(1_000));
  const enforcedMs = Math.round(performance.now() - readyAt);
  await until("the host's own policy to be in force", patienceMs, isShut);
  const sentLastKnown = await sent();

  // A disk that knows nothing: there is no policy to go by, so nobody is let in, and nobody out.
  await boot(fleet, agent);
  rmSync(agent.stateDir, { recursive: true });
  await agent.start(NO_CONTROL_PLANE);
  const mark = await sent();
  await until('strangers to have tried the closed host', patienceMs, async () => (await sent()) > mark + 20);
  const openWhenClosed = await reaches(300);

  await agent.kill();
  await agent.start();
  await until('the control plane to be heard again', patienceMs, () => reaches(1_000));
  const [reports, reached, atServer, atSink] = await Promise.all([
    Promise.all(knocks.map((drive) => drive.stop({ drainMs: 500 }))),
    Promise.all(failsafe.map((drive) => drive.stop({ drainMs: patienceMs }))),
    server.served(),
    sink.served(),
  ]);
  const answered = reports.reduce((sum, one) => sum + one.answered, 0);
  const arrived = atServer.datagrams - before.server + (atSink.datagrams - before.sink);
  const asked = reached.reduce((sum, one) => sum + one.sent, 0);
  const missed = reached.reduce((sum, one) => sum + one.refused + one.lost, 0);
  report(
    t,
    'F06',
    {
      delayed_s: DELAY_MS / 1_000,
      interfaces_gone: removed,
      forbidden_sent: reports.reduce((sum, one) => sum + one.sent, 0),
      forbidden_arrived: arrived,
      forbidden_answered: answered,
      in_force_after_ready_ms: enforcedMs,
      failsafe_asked: asked,
      failsafe_missed: missed,
    },
    [
      ['the host lost what it had in its kernel', removed >= 2 && !passedWhileAway],
      ['0 forbidden packets arrive', arrived === 0 && answered === 0],
      ['peers try in each of the windows', sentLastKnown > 0 && mark > sentLastKnown],
      ['closed without a last-known-good', !openWhenClosed],
      ['the way in to the host stays, whose own policy shuts all else', asked > 0 && missed === 0 && shutBefore],
    ],
  );
  await Promise.all(workloads.map(({ id }) => fleet.removeWorkload(id)));
  const policies = `${fleet.control.urls.policy}/v1/policies/CiliumClusterwideNetworkPolicy`;
  const { revision } = await callApi<{ revision: number }>(`${policies}/-/${NAMESPACE}`, { method: 'DELETE' });
  await fleet.waitRealised(revision, patienceMs);
};
