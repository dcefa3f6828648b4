// SPDX-License-Identifier: Apache-2.0
/**
 * One document at a time through planner and executor: between any two writes every address is judged as before the
 * document or as after it. Tables, prefixes and addresses are different maps, so this is about their order (EVAL-10).
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { weir_workload_flags as flag } from '@weir/bpf';
import type { ConfigEntry } from '@weir/bus';
import fc from 'fast-check';
import type { Failpoint } from '../src/apply/failpoint.ts';
import { FAILPOINTS } from '../src/apply/failpoint.ts';
import { HostDatapath } from '../src/apply/host.ts';
import { linkName } from '../src/plan/names.ts';
import { Planner } from '../src/plan/planner.ts';
import { emptyState, type MemoryState, memoryKernel } from '../src/sim/memory-kernel.ts';
import { cnp, identityEntry, knp, policyEntry, removal, workloadEntry } from './support/entries.ts';
import { judgeTable, peerOf } from './support/judge-table.ts';

const PROD = 'k8s:io.kubernetes.pod.namespace=prod';
const APPS = ['web', 'db', 'x'];
const BLOCKS = ['192.0.2.0/24', '192.0.2.128/25', '192.0.2.200/32', '10.2.0.0/16', '10.2.0.3/32'];
const ADDRESSES = ['192.0.2.1', '192.0.2.129', '192.0.2.200', '10.2.0.2', '10.2.0.3', '203.0.113.1'];

const peers = fc.oneof(
  fc.constantFrom(...APPS).map((app) => ({ fromEndpoints: [{ matchLabels: { app } }] })),
  fc.constantFrom(...BLOCKS).map((cidr) => ({ fromCIDR: [cidr] })),
  fc.constant({ fromCIDRSet: [{ cidr: '192.0.2.0/24', except: ['192.0.2.128/25'] }] }),
  fc.constant({ fromEntities: ['world'] }),
);
const policy = fc.oneof(
  fc
    .record({
      ingress: fc.array(peers, { minLength: 1, maxLength: 2 }),
      ingressDeny: fc.array(peers, { maxLength: 1 }),
      open: fc.boolean(),
    })
    .map(
      ({ ingress, ingressDeny, open }) =>
        (name: string) =>
          cnp(name, 'db', {
            ingress,
            ...(ingressDeny.length ? { ingressDeny } : {}),
            enableDefaultDeny: { ingress: !open },
          }),
    ),
  fc
    .constantFrom(...BLOCKS)
    .map((cidr) => (name: string) => knp(name, 'db', { ingress: [{ from: [{ ipBlock: { cidr } }] }] })),
);

const change: fc.Arbitrary<() => ConfigEntry> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(fc.nat(2), policy).map(
      ([n, make]) =>
        () =>
          policyEntry(make(`p${n}`)),
    ),
  },
  { weight: 2, arbitrary: fc.nat(2).map((n) => () => removal('policy', `CiliumNetworkPolicy/prod/p${n}`)) },
  { weight: 1, arbitrary: fc.nat(2).map((n) => () => removal('policy', `NetworkPolicy/prod/p${n}`)) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.nat(2), fc.constantFrom(...APPS)).map(
      ([n, app]) =>
        () =>
          identityEntry(1001 + n, `k8s:app=${app}`, PROD),
    ),
  },
  { weight: 1, arbitrary: fc.nat(2).map((n) => () => removal('identity', String(1001 + n))) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.nat(1), fc.nat(2)).map(
      ([n, identity]) =>
        () =>
          workloadEntry(`far.w${n}`, 1001 + identity, { host: 'h2', ip4: `10.2.0.${2 + n}` }),
    ),
  },
  { weight: 1, arbitrary: fc.nat(1).map((n) => () => removal('workload', `far.w${n}`)) },
);

const verdicts = (state: MemoryState): string[] => {
  const link = state.links.get(linkName('prod.db'));
  const value = link && state.workloads.get(link.ifindex);
  return ADDRESSES.map((ip) => {
    if (!value) return `${ip} deny`;
    const { identity, twin } = peerOf(state, ip);
    return `${ip} ${judgeTable(value.flags, state.policies.get(value.ifindex), { egress: false, identity, protocol: 6, port: 80 }, twin)}`;
  });
};

class Killed extends Error {}

/** An agent's life: planner and host. */
class Life {
  readonly planner = new Planner({ host: 'h1', allowHost: true });
  readonly host: HostDatapath;
  at: Failpoint | undefined;
  onReach: () => void = () => {};

  constructor(state: MemoryState, netnsIds: Record<string, string>) {
    const reach = (name: Failpoint): void => {
      this.onReach();
      if (name === this.at) throw new Killed(name);
    };
    this.host = new HostDatapath({ kernel: memoryKernel(state, { anyNetns: true }), reach, netnsIds });
  }

  async start(state: MemoryState, documents: Iterable<ConfigEntry>): Promise<void> {
    await this.host.load();
    for (const [prefix, identity] of this.host.cidrs) this.planner.cidrIds.adopt(prefix, identity);
    this.planner.setFacts({ addresses: [], configurationComplete: true });
    this.planner.reset([...documents]);
    await this.planner.ipcache.compareWith(state.ipcache);
  }

  async pass(): Promise<void> {
    const desired = this.planner.compute();
    const delta = this.planner.ipcache.delta();
    await this.host.adopt(desired);
    await this.host.apply(desired, delta);
    this.planner.ipcache.written(delta);
    if ((await this.host.wire(desired)).changed) {
      await this.host.apply(desired, { puts: [], deletes: [], rejudge: false });
    }
  }
}

it('between any two writes every address is judged as before or as after', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { minLength: 2, maxLength: 12 }),
      fc.constantFrom(undefined, ...FAILPOINTS.filter((name) => name.startsWith('apply.'))),
      async (changes, at) => {
        const state = emptyState();
        const netnsIds: Record<string, string> = {};
        const live = new Map<string, ConfigEntry>();
        const take = (entry: ConfigEntry): void => {
          if (entry.removed) live.delete(entry.subject);
          else live.set(entry.subject, entry);
        };
        let life = new Life(state, netnsIds);
        for (const entry of [identityEntry(1005, 'k8s:app=db', PROD), workloadEntry('prod.db', 1005)]) take(entry);
        await life.start(state, live.values());
        await life.pass();
        Object.assign(netnsIds, life.host.takeNetnsIds());

        for (const [i, make] of changes.entries()) {
          const entry = make();
          take(entry);
          const before = verdicts(state);
          const seen: string[][] = [];
          life.planner.change(entry);
          life.onReach = () => void seen.push(verdicts(state));
          life.at = i === changes.length - 1 ? at : undefined;
          try {
            await life.pass();
          } catch (error) {
            if (!(error instanceof Killed)) throw error;
            life = new Life(state, netnsIds);
            life.onReach = () => void seen.push(verdicts(state));
            await life.start(state, live.values());
            await life.pass();
          }
          const after = verdicts(state);
          for (const now of seen) {
            now.forEach((verdict, n) => {
              assert.ok(
                verdict === before[n] || verdict === after[n],
                `${entry.subject}: ${verdict}, ${before[n]} before`,
              );
            });
          }
          // What lingers may go at any time without anybody noticing.
          life.onReach = () => assert.deepEqual(verdicts(state), after, 'collect');
          if (i % 2) life.planner.collect();
          await life.pass();
          assert.deepEqual(verdicts(state), after);
        }

        const fresh = emptyState();
        const whole = new Life(fresh, {});
        await whole.start(fresh, live.values());
        await whole.pass();
        assert.deepEqual(verdicts(state), verdicts(fresh), 'the same as a host that knows only the end');
        for (const { revision, flags } of state.workloads.values()) {
          assert.equal(revision & 1, 0, 'no change is under way');
          assert.ok(flags & flag.WORKLOAD_READY);
        }
      },
    ),
    { numRuns: 150 },
  );
});
