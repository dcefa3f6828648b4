// SPDX-License-Identifier: Apache-2.0
/**
 * Documents of egress gateways change, hosts die, and between any two writes a packet leaves as before the change, as
 * after it, or not at all: never by another way, never as if it were not selected.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { weir_workload_flags } from '@weir/bpf';
import type { ConfigEntry } from '@weir/bus';
import { cidrContainsIp, parseCidr, parseIp } from '@weir/net';
import fc from 'fast-check';
import { EgressApplier } from '../src/apply/egress.ts';
import type { Egress } from '../src/apply/ports.ts';
import type { WayOut } from '../src/plan/egress.ts';
import { Planner } from '../src/plan/planner.ts';
import { emptyState, type MemoryState, memoryKernel } from '../src/sim/memory-kernel.ts';
import { dualHostEntry, egressGatewayEntry, identityEntry, removal, workloadEntry } from './support/entries.ts';

const WEB = { id: 'web', ip4: '10.1.0.2' };
/** Another host's workload, that this host may serve. */
const FAR = { id: 'far', ip4: '10.2.0.2' };
const DESTINATIONS = ['198.51.100.7', '198.51.100.200', '203.0.113.1'];
const HOSTS = ['h1', 'h2', 'h3'];
const BASE = [
  ...HOSTS.map((id, i) => dualHostEntry(id, `192.168.0.${i + 1}`, '', `10.${i + 1}.0.0/24`)),
  identityEntry(1001, 'k8s:app=web'),
  workloadEntry(WEB.id, 1001, WEB),
  workloadEntry(FAR.id, 1001, { ...FAR, host: 'h2' }),
];
const NAMES = ['a', 'b'];

type Change = (plan: Planner) => void;
const some = (values: readonly string[]) => fc.subarray([...values], { minLength: 1 });
const tell =
  (entry: () => ConfigEntry): Change =>
  (plan) =>
    plan.change(entry());
const document: fc.Arbitrary<Change> = fc
  .record({
    name: fc.constantFrom(...NAMES),
    destinationCidrs: some(['0.0.0.0/0', '198.51.100.0/24', '203.0.113.0/24']),
    excludedCidrs: fc.subarray(['198.51.100.128/25', '203.0.113.0/24']),
    hosts: some(HOSTS),
    egressIp: fc.constantFrom('192.168.0.1', '192.168.0.77', ''),
  })
  .map(({ name, hosts, egressIp, ...cidrs }) =>
    tell(() =>
      egressGatewayEntry(name, {
        workloads: [{ matchLabels: { 'k8s:app': 'web' } }],
        ...cidrs,
        gateways: [
          {
            hosts: { matchExpressions: [{ key: 'name', operator: 'In', values: hosts }] },
            ...(egressIp ? { egressIp } : { interface: 'eth0' }),
          },
        ],
      }),
    ),
  );
const gone: fc.Arbitrary<Change> = fc.constantFrom(...NAMES).map((name) => tell(() => removal('egressGateway', name)));
const dead: fc.Arbitrary<Change> = fc
  .subarray(['h2', 'h3'])
  .map((hosts) => (plan: Planner) => setFacts(plan, new Set(hosts)));
const setFacts = (plan: Planner, unreachable: ReadonlySet<string>): void =>
  plan.setFacts({ addresses: [], subnets: [], nowMs: 0, unreachable, configurationComplete: true });

/** As egress.h finds it: undefined = nothing is known of the source, 0 = it leaves as if there were no gateways. */
const groupOf = ({ egress }: MemoryState, source: string, to: string): number | undefined => {
  const set = egress.sources.get(source);
  if (set === undefined) return undefined;
  const fitting = [...(egress.sets.get(set) ?? [])]
    .map(([prefix, group]) => ({ cidr: parseCidr(prefix), group }))
    .filter(({ cidr }) => cidrContainsIp(cidr, parseIp(to)))
    .sort((a, b) => b.cidr.bits128 - a.cidr.bits128);
  return fitting[0]?.group ?? 0;
};
const FLAG = weir_workload_flags.WORKLOAD_EGRESS;
const DROP = 'dropped';
const DIRECT = 'as if there were none';

/** As choose_gateway() of a new connection, and find_own_gateway() where it leaves. */
const wayOf = (state: MemoryState, source: string, to: string, which: 'chosen' | 'own'): string => {
  const number = groupOf(state, source, to);
  if (number === 0) return which === 'chosen' ? DIRECT : DROP;
  const gateway = state.egress.gateways.get(state.egress.groups.get(number ?? -1)?.[which] ?? 0);
  if (!gateway || gateway.group !== number) return DROP;
  if (gateway.tunnel !== 0) return `host ${gateway.tunnel}`;
  return gateway.ifindex !== 0 && gateway.ip4 !== '' ? `here ${gateway.ip4}` : DROP;
};

/** Each write by itself, and `look` after it. */
const watched = (port: Egress, look: () => void): Egress => ({
  ...port,
  writeRoutes: async (set, entries) => {
    for (const one of entries) {
      await port.writeRoutes(set, [one]);
      look();
    }
  },
  removeRoutes: async (set, prefixes) => {
    for (const one of prefixes) {
      await port.removeRoutes(set, [one]);
      look();
    }
  },
  writeGroup: (number, group) => port.writeGroup(number, group).then(look),
  writeGateway: (number, gateway) => port.writeGateway(number, gateway).then(look),
  writeSource: (address, set) => port.writeSource(address, set).then(look),
  removeSource: (address) => port.removeSource(address).then(look),
});

const found = ({ egressIp }: WayOut) => ({ ifindex: 7, ip4: egressIp || '192.168.0.1', ip6: '' });

it('between any two writes: the old way, the new one, or none', async () => {
  let writes = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(document, document, gone, dead), { minLength: 2, maxLength: 8 }),
      async (all) => {
        const state = emptyState();
        const plan = new Planner({ host: 'h1', allowHost: true });
        for (const entry of BASE) plan.change(entry);
        setFacts(plan, new Set());
        /** What the executor writes: whether the workload's program asks at all. */
        let isFlagged = false;
        const now = (): string[] =>
          DESTINATIONS.flatMap((to) => [
            isFlagged ? wayOf(state, WEB.ip4, to, 'chosen') : DIRECT,
            wayOf(state, FAR.ip4, to, 'own'),
          ]);
        const between: string[][] = [];
        const applier = new EgressApplier(watched(memoryKernel(state).egress, () => between.push(now())));
        for (const change of all) {
          change(plan);
          const before = now();
          between.length = 0;
          const { egress, workloads } = plan.compute();
          await applier.prepare(egress);
          isFlagged = ((workloads.get(WEB.id)?.policy?.flags ?? 0) & FLAG) !== 0;
          between.push(now());
          await applier.finish(egress, found);
          const after = now();
          for (const ways of between)
            for (const [i, way] of ways.entries())
              assert.ok([before[i], after[i], DROP].includes(way), `${way}, and neither ${before[i]} nor ${after[i]}`);
          writes += between.length;
          if (!egress)
            assert.deepEqual(state.egress.sources.size + state.egress.sets.size + state.egress.gateways.size, 0);
        }
      },
    ),
    { numRuns: 300 },
  );
  assert.ok(writes > 1000, `${writes} writes`);
});
