// SPDX-License-Identifier: Apache-2.0
/** More than fits: who is concerned is denied everything and says so, everybody else goes on, and room is used again. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { weir_workload_flags as flag } from '@weir/bpf';
import type { ConfigEntry } from '@weir/bus';
import { Planner } from '../src/plan/planner.ts';
import { cnp, identityEntry, policyEntry, removal, workloadEntry } from './support/entries.ts';

const PROD = 'k8s:io.kubernetes.pod.namespace=prod';
const IDENTITIES = ['web', 'db', 'api'].map((app, i) => identityEntry(1001 + i, `k8s:app=${app}`, PROD));
const [WEB_ID, DB_ID, API_ID] = [1001, 1002, 1003];
/** Addresses of the host itself: the gateways, one per family. */
const OWN = 2;

const plannerOf = (limits: { maxIpcache?: number; maxCidrs?: number }, ...entries: ConfigEntry[]): Planner => {
  const made = new Planner({ host: 'h1', allowHost: true, ...limits });
  made.setFacts({ addresses: [], configurationComplete: true });
  for (const entry of [...IDENTITIES, ...entries]) made.change(entry);
  return made;
};

/** Workloads in lockdown; what is desired stands in the kernel then. */
const pass = (plan: Planner): { readonly locked: string[]; readonly errors: string[] } => {
  const { workloads, errors } = plan.compute();
  const delta = plan.ipcache.delta();
  plan.ipcache.written(delta);
  const locked = [...workloads].filter(([, { policy }]) => (policy?.flags ?? 0) & flag.WORKLOAD_LOCKDOWN);
  return { locked: locked.map(([id]) => id), errors: errors.map(({ code }) => code) };
};

const far = (name: string, n: number): ConfigEntry =>
  workloadEntry(name, WEB_ID, { host: 'h2', ip4: `10.9.0.${n}`, netns: '' });
const fromWeb = policyEntry(
  cnp('db', 'db', { ingress: [{ fromEndpoints: [{ matchLabels: { app: 'web' } }] }], egress: [{}] }),
);

describe('a full ipcache', () => {
  const db = workloadEntry('db', DB_ID);
  const api = workloadEntry('api', API_ID, { ip4: '10.1.0.3' });
  const limits = { maxIpcache: OWN + 3 };

  it('leaves alone who would only refuse more', () => {
    const plan = plannerOf(limits, db, api, fromWeb, far('a', 1), far('b', 2));
    assert.deepEqual(pass(plan), { locked: [], errors: ['TOO_LARGE'] });
    assert.equal(plan.ipcache.unplaced().length, 1);
    assert.equal(plan.ipcache.size, OWN + 4);
  });

  it('locks down who lets in the world, which a peer without room would pass for', () => {
    const open = policyEntry(cnp('api', 'api', { ingress: [{ fromEntities: ['world'] }] }));
    const plan = plannerOf(limits, db, api, fromWeb, open, far('a', 1), far('b', 2));
    assert.deepEqual(pass(plan), { locked: ['api'], errors: ['TOO_LARGE', 'TOO_LARGE'] });
  });

  it('locks down who lets out to a prefix that may hold a peer without room', () => {
    const prefix = policyEntry(cnp('api', 'api', { egress: [{ toCIDR: ['10.9.0.0/16'] }] }));
    const plan = plannerOf(limits, db, api, fromWeb, prefix, far('a', 1), far('b', 2));
    assert.deepEqual(pass(plan).locked, ['api']);
  });

  it('locks down who denies a peer without room by its labels', () => {
    const deny = [{ fromEndpoints: [{ matchLabels: { app: 'web' } }] }];
    const plan = plannerOf(
      limits,
      ...[db, api, fromWeb, far('a', 1), far('b', 2)],
      policyEntry(cnp('api', 'api', { ingress: [{ fromEntities: ['all'] }], ingressDeny: deny })),
    );
    assert.deepEqual(pass(plan).locked, ['api']);
  });

  it('takes in who waits when there is room again, after what left it', () => {
    const open = policyEntry(cnp('api', 'api', { ingress: [{ fromEntities: ['world'] }] }));
    const plan = plannerOf(limits, db, api, open, far('a', 1), far('b', 2));
    assert.deepEqual(pass(plan).locked, ['api']);
    plan.change(removal('workload', 'a'));
    const { puts, deletes } = plan.ipcache.delta();
    assert.deepEqual([puts.length, deletes.length], [0, 1], 'the kernel never holds more than fits');
    assert.deepEqual(pass(plan).locked, ['api'], 'still without room while the delete is under way');
    assert.equal(plan.ipcache.delta().puts.length, 1);
    assert.deepEqual(pass(plan), { locked: [], errors: [] });
    assert.equal(plan.ipcache.unplaced().length, 0);
  });

  it('still takes new identities of addresses that are in it', () => {
    const plan = plannerOf(limits, db, api, far('a', 1), far('b', 2));
    pass(plan);
    plan.change(workloadEntry('db', API_ID));
    const { puts, rejudge } = plan.ipcache.delta();
    assert.deepEqual([puts.length, rejudge], [1, true]);
  });

  it('counts what an earlier agent left in it', async () => {
    const before = plannerOf(limits, db, far('a', 1), far('b', 2));
    before.compute();
    const left = new Map(before.ipcache.delta().puts);
    const plan = plannerOf(limits, db, far('c', 3));
    await plan.ipcache.compareWith(left);
    const { puts, deletes } = plan.ipcache.delta();
    assert.deepEqual([puts.length, deletes.length], [0, 2]);
    pass(plan);
    assert.equal(plan.ipcache.delta().puts.length, 1);
  });
});

describe('full cidrs', () => {
  const db = workloadEntry('db', DB_ID);
  const api = workloadEntry('api', API_ID, { ip4: '10.1.0.3' });
  const to = (name: string, count: number) =>
    policyEntry(
      cnp(name, name, {
        egress: [{ toCIDR: Array.from({ length: count }, (_, i) => `192.0.${name.length}.${i}/32`) }],
      }),
    );

  it('are not taken away from those who had them first', () => {
    const plan = plannerOf({ maxCidrs: 4 }, db, api, to('db', 1), to('api', 2));
    assert.deepEqual(pass(plan).locked, []);
    plan.change(to('db', 9));
    assert.deepEqual(pass(plan).locked, ['db']);
    plan.change(to('db', 2));
    assert.deepEqual(pass(plan), { locked: [], errors: [] });
  });
});

describe('a policy far too large to compile', () => {
  it('says that it does not fit, not that it has no entries', () => {
    const ports = Array.from({ length: 40 }, (_, i) => ({ port: String(1 + 2 * i), protocol: 'TCP' }));
    const toCIDR = Array.from({ length: 50 }, (_, i) => `198.51.100.${i}/32`);
    const plan = new Planner({ host: 'h1', allowHost: true, maxEntries: 1000 });
    plan.setFacts({ addresses: [], configurationComplete: true });
    const large = policyEntry(cnp('db', 'db', { egress: [{ toCIDR, toPorts: [{ ports }] }] }));
    for (const entry of [...IDENTITIES, workloadEntry('db', DB_ID), large]) plan.change(entry);
    const { message } = plan.compute().errors[0] ?? { message: '' };
    assert.match(message, /has 2000 entries or more, at most 998 fit/);
  });
});
