// SPDX-License-Identifier: Apache-2.0
/** Every state between two writes is looked at, and the agent is killed in each of them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FAILPOINTS, type Failpoint } from '../src/apply/failpoint.ts';
import { HostDatapath } from '../src/apply/host.ts';
import type { Desired } from '../src/plan/desired.ts';
import { NO_ENCRYPTION } from '../src/plan/encryption.ts';
import type { DesiredWorkload, WorkloadPolicy } from '../src/plan/model.ts';
import { NO_OVERLAY } from '../src/plan/overlay.ts';
import { emptyState, type MemoryState, memoryKernel } from '../src/sim/memory-kernel.ts';
import { judgeTable, PROBES, type Verdict } from './support/judge-table.ts';
import { anyPolicy, desiredWorkload, policyOf } from './support/policies.ts';

const NO_IPCACHE = { puts: [], deletes: [], rejudge: false };
const ID = 'prod.web';

const desiredOf = (...workloads: DesiredWorkload[]): Desired => ({
  workloads: new Map(workloads.map((workload) => [workload.id, workload])),
  cidrs: new Map(),
  routes: new Map(),
  overlay: NO_OVERLAY,
  ...{ encryption: NO_ENCRYPTION, encryptedPools: [] },
  identities: new Set(),
  errors: [],
});

class Killed extends Error {}

interface Run {
  readonly state: MemoryState;
  readonly desired: Desired;
  readonly netnsIds: Record<string, string>;
  readonly at?: Failpoint;
  readonly onReach?: () => void;
}

/** One life of an agent, from start to the end of a pass or to its death. */
const live = async ({ state, desired, netnsIds, at, onReach }: Run): Promise<void> => {
  const reach = (name: Failpoint): void => {
    onReach?.();
    if (name === at) throw new Killed(name);
  };
  const host = new HostDatapath({ kernel: memoryKernel(state), reach, netnsIds });
  await host.load();
  await host.adopt(desired);
  await host.wire(desired);
  Object.assign(netnsIds, host.takeNetnsIds());
  await host.apply(desired, NO_IPCACHE);
};

const verdicts = (state: MemoryState): Verdict[] => {
  const [value] = state.workloads.values();
  return PROBES.map((probe) =>
    value ? judgeTable(value.flags, state.policies.get(value.ifindex), probe) : ('deny' as const),
  );
};

const start = async (policy: WorkloadPolicy): Promise<{ state: MemoryState; netnsIds: Record<string, string> }> => {
  const state = emptyState();
  state.netns.set(`/run/netns/${ID}`, 'one');
  const netnsIds = {};
  await live({ state, desired: desiredOf(desiredWorkload(ID, policy)), netnsIds });
  return { state, netnsIds };
};

const outcome = async (policy: WorkloadPolicy): Promise<Verdict[]> => verdicts((await start(policy)).state);

describe('a change of policy', () => {
  it('judges every packet by the old policy or the new, whenever it comes and whenever the agent dies', async () => {
    await fc.assert(
      fc.asyncProperty(anyPolicy, anyPolicy, fc.constantFrom(undefined, ...FAILPOINTS), async (old, next, at) => {
        const { state, netnsIds } = await start(old);
        const before = verdicts(state);
        const after = await outcome(next);
        const judged: { verdicts: Verdict[]; revision: number }[] = [];
        const look = (): void => {
          const now = verdicts(state);
          now.forEach((verdict, i) => {
            assert.ok(verdict === before[i] || verdict === after[i], JSON.stringify(PROBES[i]));
          });
          judged.push({ verdicts: now, revision: [...state.workloads.values()][0]?.revision ?? -1 });
        };
        look();
        const desired = desiredOf(desiredWorkload(ID, next));
        await live({ state, desired, netnsIds, at, onReach: look }).catch((error) => {
          if (!(error instanceof Killed)) throw error;
        });
        look();
        await live({ state, desired, netnsIds, onReach: look });
        assert.deepEqual(verdicts(state), after);
        const final = [...state.workloads.values()][0]?.revision;
        for (const { verdicts: then, revision } of judged) {
          if (revision === final) assert.deepEqual(then, after, 'judged by an old table under the final revision');
        }
      }),
      { numRuns: 300 },
    );
  });

  it('writes nothing at a start that finds everything as it should be', async () => {
    await fc.assert(
      fc.asyncProperty(anyPolicy, async (policy) => {
        const { state, netnsIds } = await start(policy);
        const { revision } = [...state.workloads.values()][0] ?? assert.fail();
        const attachOnly = state.writes + 1;
        await live({ state, desired: desiredOf(desiredWorkload(ID, policy)), netnsIds });
        assert.equal(state.writes, attachOnly, 'the program is replaced in place, nothing else');
        assert.equal([...state.workloads.values()][0]?.revision, revision);
      }),
      { numRuns: 100 },
    );
  });
});

describe('a workload', () => {
  it('is closed until its first policy is whole, whenever the agent dies while connecting it', async () => {
    const policy = policyOf([], false, false);
    for (const at of FAILPOINTS) {
      const state = emptyState();
      state.netns.set(`/run/netns/${ID}`, 'one');
      const netnsIds = {};
      const desired = desiredOf(desiredWorkload(ID, policy));
      const closedOrDone = (): void => {
        const up = [...state.links.values()].some((link) => link.up);
        if (up) assert.equal(state.attached.size, 1, `${at}: up without a program`);
        if (up) assert.equal(state.workloads.size, 1, `${at}: up without an entry`);
      };
      await live({ state, desired, netnsIds, at, onReach: closedOrDone }).catch(() => {});
      await live({ state, desired, netnsIds, onReach: closedOrDone });
      assert.ok(
        verdicts(state).every((verdict) => verdict === 'allow'),
        at,
      );
      assert.equal(state.links.size, 1);
      assert.equal(state.workloads.size, 1);
    }
  });

  it('leaves nothing behind, whenever the agent dies while disconnecting it', async () => {
    for (const at of FAILPOINTS) {
      const { state, netnsIds } = await start(policyOf([], false, false));
      const gone = desiredOf();
      await live({ state, desired: gone, netnsIds, at }).catch(() => {});
      await live({ state, desired: gone, netnsIds });
      assert.deepEqual(
        [state.links.size, state.workloads.size, state.policies.size, state.addresses.size, state.attached.size],
        [0, 0, 0, 0, 0],
        at,
      );
    }
  });

  it('that must close is closed before anything else, and opens last', async () => {
    const open = policyOf([], false, false);
    const { state, netnsIds } = await start(open);
    const seen: string[] = [];
    const desired = desiredOf(desiredWorkload(ID, undefined));
    await live({ state, desired, netnsIds, onReach: () => void seen.push(verdicts(state).join()) });
    assert.ok(seen.slice(0).every((all) => !all.includes('allow')));
    await live({ state, desired: desiredOf(desiredWorkload(ID, open)), netnsIds });
    assert.ok(verdicts(state).every((verdict) => verdict === 'allow'));
  });

  it('whose table the kernel refuses is in lockdown, and comes back with one that fits', async () => {
    const small = policyOf([], true, false);
    const { state, netnsIds } = await start(small);
    const entries = Array.from({ length: 20 }, (_, i) => ({
      egress: false,
      tier: 'Normal' as const,
      identity: 300 + i,
      protocol: 0,
      port: 0,
      portPrefixBits: 0,
      verdict: 'allow' as const,
      rank: 0,
      ruleId: 1,
    }));
    const host = new HostDatapath({ kernel: memoryKernel(state, { maxPolicy: 10 }), netnsIds });
    await host.load();
    const large = desiredOf(desiredWorkload(ID, policyOf(entries, true, false)));
    await host.adopt(large);
    await host.wire(large);
    const { failed } = await host.apply(large, NO_IPCACHE);
    assert.deepEqual([...failed.keys()], [ID]);
    assert.ok(verdicts(state).every((verdict) => verdict === 'deny'));
    await host.apply(desiredOf(desiredWorkload(ID, small)), NO_IPCACHE);
    assert.deepEqual(verdicts(state), await outcome(small));
  });

  it('is connected anew when the namespace behind its path is another one', async () => {
    const policy = policyOf([], false, false);
    const { state, netnsIds } = await start(policy);
    const host = new HostDatapath({ kernel: memoryKernel(state), netnsIds });
    const desired = desiredOf(desiredWorkload(ID, policy));
    await host.load();
    await host.adopt(desired);
    await host.wire(desired);
    const before = [...state.links.values()][0]?.ifindex;
    state.netns.set(`/run/netns/${ID}`, 'two');
    assert.equal((await host.inspect()).length, 1);
    await host.wire(desired);
    await host.apply(desired, NO_IPCACHE);
    assert.notEqual([...state.links.values()][0]?.ifindex, before);
    assert.equal(state.workloads.size, 1);
    assert.ok(verdicts(state).every((verdict) => verdict === 'allow'));
  });

  it('without a namespace waits, and is retried', async () => {
    const state = emptyState();
    const host = new HostDatapath({ kernel: memoryKernel(state) });
    const desired = desiredOf(desiredWorkload(ID, policyOf([], false, false)));
    await host.load();
    await host.adopt(desired);
    await host.wire(desired, 1000);
    assert.match(host.failure(ID) ?? '', /waiting for network namespace/);
    assert.equal(host.retryInMs(1000), 500);
    state.netns.set(`/run/netns/${ID}`, 'one');
    await host.wire(desired, 1200);
    assert.equal(state.links.size, 0, 'not due yet');
    await host.wire(desired, 1600);
    assert.equal(state.links.size, 1);
    assert.equal(host.failure(ID), undefined);
  });

  it('gets back what was taken away behind the agent: programs, entry', async () => {
    const { state, netnsIds } = await start(policyOf([], true, true));
    const host = new HostDatapath({ kernel: memoryKernel(state), netnsIds });
    const desired = desiredOf(desiredWorkload(ID, policyOf([], true, true)));
    await host.load();
    await host.adopt(desired);
    await host.wire(desired);
    state.attached.clear();
    const [value] = state.workloads.values();
    state.workloads.clear();
    assert.equal((await host.inspect()).length, 2);
    assert.equal(state.attached.size, 1);
    assert.deepEqual([...state.workloads.values()], [value]);
  });
});
