// SPDX-License-Identifier: Apache-2.0
/**
 * F10: datagrams in fragments, and a way that becomes narrower under a connection. The caller takes nothing that it did
 * not ask for, so what it hears of the narrow way it hears because its connection is known.
 *
 *     caller (h1) ---- world, routes with an MTU of 1,280 from a moment on ---- far
 */
import { execFileSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ethernet, icmp, icmp6, ip4, ip6, tcp } from '@weir/bpf/testing';
import { type Drive, type External, type Fleet, PATIENT_TIMEOUT_MS, until, type Workload } from '@weir/infra/fleet';
import { inNetns, netnsName, netnsPath } from '@weir/infra/netns';
import { ip } from '@weir/infra/resources';
import { agentMetric } from '../../lib/agent-api.ts';
import { datagramLosses, lossesSince } from '../../lib/datagram-losses.ts';
import { report } from '../../lib/figures.ts';
import { size } from '../../lib/size.ts';
import { applyPolicy } from './policy.ts';

const DATAGRAMS = size({ short: 100, long: 10_000 });
const DATAGRAM_BYTES = 8_192;
const TICK_MS = size({ short: 5, long: 2 });
/** An answer may take as long as a datagram is waited for. */
const DRAIN_MS = size({ short: 1_000, long: PATIENT_TIMEOUT_MS });
const NARROW_MTU = 1_280;
const FORGED = 20;
const FAMILIES = ['ip4', 'ip6'] as const;
type Family = (typeof FAMILIES)[number];
const [TCP, UDP] = [80, 53];

const policy = (name: string, ingress: readonly object[]) => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name, namespace: 'continuity' },
  spec: { podSelector: { matchLabels: { app: name } }, policyTypes: ['Ingress'], ingress },
});

const WITNESS = `
table inet weir_witness {
  chain input {
    type filter hook input priority -300; policy accept;
    icmp type destination-unreachable counter
    icmpv6 type packet-too-big counter
  }
}
`;

/** Errors that reached the workload, of both families. */
const errorsAt = ({ netns }: Workload): number[] =>
  [...inNetns(netns, 'nft', 'list', 'table', 'inet', 'weir_witness').matchAll(/counter packets (\d+)/g)].map(([, n]) =>
    Number(n),
  );

const macOf = (netns: string, device: string): string =>
  /link\/ether (\S+)/.exec(inNetns(netns, 'ip', 'link', 'show', device))?.[1] ?? '';

/** Says that the way is narrow, about a connection that nobody has. */
const forged = (fleet: Fleet, family: Family, caller: Workload, far: External): Buffer => {
  const frame = { from: macOf(fleet.worldNetns as string, 'uplink0'), to: macOf(fleet.host('h1').netns, 'uplink0') };
  const segment = tcp({ sport: 5_555, dport: TCP, flags: 'A' });
  const addresses = { src: caller[family], dst: far[family] as string };
  const { worldIp4, worldIp6 } = fleet.underlay;
  if (family === 'ip4') {
    const data = ip4(addresses, segment).bytes.subarray(0, 28);
    return ethernet(frame, ip4({ src: worldIp4, dst: caller.ip4 }, icmp({ type: 3, code: 4, seq: NARROW_MTU, data })));
  }
  const data = ip6(addresses, segment).bytes;
  return ethernet(frame, ip6({ src: worldIp6, dst: caller.ip6 }, icmp6({ type: 2, seq: NARROW_MTU, data })));
};

const fragmented = async (from: Workload, host: string): Promise<{ sent: number; answered: number }> => {
  const drive = await from.open({
    ...{ protocol: 'udp', host, port: UDP, tickMs: TICK_MS },
    ...{ payloadBytes: DATAGRAM_BYTES, timeoutMs: PATIENT_TIMEOUT_MS },
  });
  await until(`${DATAGRAMS} datagrams`, 120_000, async () => {
    const { sent } = await drive.report();
    return sent >= DATAGRAMS;
  });
  return drive.stop({ drainMs: DRAIN_MS });
};

/** Goes on when it is answered again after now. */
const goesOn = async (drive: Drive, what: string): Promise<void> => {
  const { answered } = await drive.report();
  await until(what, 60_000, async () => (await drive.report()).answered >= answered + 10);
};

export const continuity = async (t: TestContext, fleet: Fleet): Promise<void> => {
  const namespace = 'continuity';
  const [caller, callee] = (await fleet.addWorkloads([
    { name: 'caller', namespace, host: 'h1', labels: { app: 'caller' } },
    { name: 'callee', namespace, host: 'h2', labels: { app: 'callee' }, tcp: [TCP], udp: [UDP] },
  ])) as [Workload, Workload];
  const router = await fleet.addExternal({ name: 'router' });
  const far = await fleet.addExternal({
    ...{ name: 'far', ip4: '203.0.113.10', ip6: '2001:db8:200::10', isBehindWorld: true },
    ...{ tcp: [TCP], udp: [UDP] },
  });
  const fromCaller = {
    from: [{ podSelector: { matchLabels: { app: 'caller' } } }],
    ports: [{ port: UDP, protocol: 'UDP' }],
  };
  await applyPolicy(fleet, policy('callee', [fromCaller]));
  await applyPolicy(fleet, policy('caller', []));
  execFileSync('nsenter', [`--net=${netnsPath(caller.netns)}`, '--', 'nft', '-f', '-'], { input: WITNESS });

  const agents = ['h1', 'h2'].map((host) => fleet.agents.get(host)).filter((agent) => agent !== undefined);
  const refused = async (): Promise<number> => {
    const counts = await Promise.all(
      agents.map((agent) =>
        agentMetric(agent, 'weir_datapath_dropped_packets_total', { reason: 'fragment_not_found' }),
      ),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  };
  const losses = () => datagramLosses(caller.netns, callee.netns, netnsName(fleet.options.name, 'x-far'));
  const [lossesBefore, refusedBefore] = [losses(), await refused()];
  const pieces = await Promise.all(FAMILIES.map((family) => fragmented(caller, callee[family])));
  const held = await Promise.all(
    FAMILIES.map((family) =>
      caller.hold({
        ...{ host: far[family] as string, port: TCP, connections: 1, tickMs: 20, stallMs: 60_000 },
        payloadBytes: 4_000,
      }),
    ),
  );
  for (const drive of held) await goesOn(drive, 'answers over the wide way');
  const world = fleet.worldNetns as string;
  for (const family of FAMILIES)
    ip('-n', world, 'route', 'replace', far[family] as string, 'dev', 'far', 'mtu', 'lock', `${NARROW_MTU}`);
  for (const drive of held) await goesOn(drive, 'answers over the narrow way');
  const related = errorsAt(caller);
  const resets = (await Promise.all(held.map((drive) => drive.stop()))).reduce((sum, one) => sum + one.resets, 0);
  // The size is known now: what is cut to it arrives, all of it.
  const narrow = await Promise.all(FAMILIES.map((family) => fragmented(caller, far[family] as string)));

  const [agent] = agents;
  if (!agent) throw new Error('h1 has no agent');
  const elsewhere = lossesSince(lossesBefore, losses());
  const withoutFirst = (await refused()) - refusedBefore;
  const unanswered = (await callee.served()).unanswered + (await far.served()).unanswered;
  const denied = () =>
    agentMetric(agent, 'weir_datapath_dropped_packets_total', { reason: 'policy_denied', direction: 'ingress' });
  const [before, heard] = [await denied(), errorsAt(caller)];
  for (const family of FAMILIES)
    for (let i = 0; i < FORGED; i++) await router.frame('uplink0', forged(fleet, family, caller, far));
  await until('the forged errors to be refused', 60_000, async () => (await denied()) >= before + 2 * FORGED);
  await sleep(100);
  const unrelated = errorsAt(caller).reduce((sum, n, i) => sum + n - (heard[i] ?? 0), 0);
  const all = [...pieces, ...narrow];
  report(
    t,
    'F10',
    {
      datagrams: all.reduce((sum, { sent }) => sum + sent, 0),
      delivered: all.reduce((sum, { answered }) => sum + answered, 0),
      // IPv4 and IPv6 between the hosts, then over the narrow way.
      lost_by_way: all.map(({ sent, answered }) => sent - answered).join('+'),
      ...elsewhere,
      unanswered,
      without_first_fragment: withoutFirst,
      narrow_mtu: NARROW_MTU,
      related: related.join('+'),
      resets,
      forged: 2 * FORGED,
      unrelated,
    },
    [
      ['100 % delivered', all.every(({ sent, answered }) => sent >= DATAGRAMS && sent === answered)],
      ['related errors pass, in both families', related.length === 2 && related.every((n) => n > 0)],
      ['connections outlive the narrow way', resets === 0],
      ['0 unrelated errors pass', unrelated === 0],
    ],
  );
  await Promise.all([fleet.removeWorkload(caller.id), fleet.removeWorkload(callee.id)]);
};
