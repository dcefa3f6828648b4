// SPDX-License-Identifier: Apache-2.0
/** Policies with a time, and changes that drain: what the planner makes of them, alone. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Planner } from '../src/plan/planner.ts';
import { identityEntry, knp, policyEntry, removal, workloadEntry } from './support/entries.ts';
import { judgeTable } from './support/judge-table.ts';

const PROD = 'k8s:io.kubernetes.pod.namespace=prod';
const WEB = identityEntry(1001, 'k8s:app=web', PROD);
const DB = identityEntry(1002, 'k8s:app=db', PROD);

const planner = (...entries: Parameters<Planner['change']>[0][]): Planner => {
  const made = new Planner({ host: 'h1', allowHost: true });
  made.setFacts({ addresses: ['192.168.0.1'], configurationComplete: true });
  for (const entry of entries) made.change(entry);
  return made;
};

const asked = (plan: Planner): string => {
  const policy = plan.compute().workloads.get('prod.db')?.policy;
  return judgeTable(policy?.flags ?? 0, policy?.table, { egress: false, identity: 1001, protocol: 6, port: 80 });
};

describe('policies with a time', () => {
  const at = (text: string): number => Date.parse(text);
  const timed = {
    ...{ apiVersion: 'weir.io/v1', kind: 'FirewallPolicy', metadata: { name: 'visit', namespace: 'prod' } },
    spec: {
      endpointSelector: { matchLabels: { app: 'db' } },
      validity: { notBefore: '2026-11-23T08:00:00Z', notAfter: '2026-11-23T18:00:00Z' },
      ingress: [{ action: 'Allow', fromEndpoints: [{ matchLabels: { app: 'web' } }] }],
    },
  };
  const closed = knp('closed', 'db', { ingress: [] });
  const facts = { addresses: [], configurationComplete: true };
  const verdictAt = (plan: Planner, time: string): string => {
    plan.setFacts({ ...facts, wallMs: at(time) });
    return asked(plan);
  };
  const holding = (appliedMs = 0n): Planner => {
    const entry = policyEntry(timed);
    if (entry.document.body.case === 'policy') entry.document.body.value.appliedMs = appliedMs;
    return planner(WEB, DB, workloadEntry('prod.db', 1002), policyEntry(closed), entry);
  };

  it('begin and end by the host alone, whichever way its clock is set', () => {
    const plan = holding();
    assert.equal(verdictAt(plan, '2026-11-23T07:59:59Z'), 'deny');
    assert.equal(plan.policies.isTimeDue(at('2026-11-23T07:59:59.999Z')), false);
    assert.equal(plan.policies.isTimeDue(at('2026-11-23T08:00:00Z')), true);
    assert.equal(verdictAt(plan, '2026-11-23T08:00:00Z'), 'allow');
    assert.equal(plan.policies.isTimeDue(at('2026-11-23T17:59:59Z')), false);
    assert.equal(verdictAt(plan, '2026-11-23T18:00:00Z'), 'deny');
    assert.equal(verdictAt(plan, '2026-11-23T12:00:00Z'), 'allow', 'the clock was set back');
    assert.deepEqual(plan.policies.timed(), [
      { key: 'FirewallPolicy/prod/visit', standing: 'in-force', nextChangeMs: at('2026-11-23T18:00:00Z') },
    ]);
  });

  it('allow nothing while the clock says less than when they were made', () => {
    const plan = holding(BigInt(at('2026-11-23T09:00:00Z')));
    assert.equal(verdictAt(plan, '2026-11-23T08:30:00Z'), 'deny');
    assert.equal(plan.policies.timed()[0]?.standing, 'unsure');
    assert.equal(verdictAt(plan, '2026-11-23T09:00:00Z'), 'allow');
  });

  it('that are new count by the time that is known', () => {
    const plan = planner(WEB, DB, workloadEntry('prod.db', 1002), policyEntry(closed));
    assert.equal(verdictAt(plan, '2026-11-23T20:00:00Z'), 'deny');
    plan.change(policyEntry(timed));
    assert.equal(asked(plan), 'deny');
  });
});

describe('connections of a change', () => {
  const open = knp('db', 'db', { ingress: [{}] });
  const closed = knp('db', 'db', { ingress: [] });
  const applied = (document: typeof open, revision: bigint, drains: boolean) => {
    const entry = policyEntry(document);
    return { ...entry, document: { ...entry.document, revision, drains } };
  };
  const decided = (plan: Planner) => plan.compute().workloads.get('prod.db')?.established;
  const holding = (...entries: Parameters<Planner['change']>[0][]): Planner => {
    const plan = planner(WEB, DB, workloadEntry('prod.db', 1002), ...entries);
    assert.equal(decided(plan), undefined, 'an agent that begins has seen no change');
    return plan;
  };

  it('are cut or drained as the last change says that changed the policy', () => {
    const plan = holding(applied(open, 1n, false));
    plan.change(applied(closed, 2n, true));
    assert.deepEqual(decided(plan), { number: 1, drains: true });
    plan.change(applied(closed, 3n, false));
    assert.deepEqual(decided(plan), { number: 1, drains: true }, 'nothing was changed');
    plan.change(applied(open, 4n, true));
    plan.change(applied(closed, 5n, true));
    assert.deepEqual(decided(plan), { number: 1, drains: true }, 'and is as it was');
    plan.change(applied(open, 6n, false));
    assert.deepEqual(decided(plan), { number: 2, drains: false });
  });

  it('are cut when of several changes one cuts', () => {
    const plan = holding(applied(open, 1n, false));
    plan.change(applied(closed, 2n, true));
    plan.change(policyEntry(knp('other', 'db', { policyTypes: ['Egress'] })));
    assert.deepEqual(decided(plan), { number: 1, drains: false });
  });

  it('are drained by a removal that says so, and cut by one that was missed', () => {
    const gone = removal('policy', 'NetworkPolicy/prod/db');
    for (const [drains, end] of [
      [true, { ...gone, document: { ...gone.document, drains: true } }],
      [false, gone],
    ] as const) {
      const plan = holding(applied(closed, 1n, false));
      plan.change(end);
      assert.deepEqual(decided(plan), { number: 1, drains });
    }
    const plan = holding(applied(closed, 1n, true));
    plan.reset([WEB, DB, workloadEntry('prod.db', 1002)]);
    assert.deepEqual(decided(plan), { number: 1, drains: false });
  });

  it('are left as they are by labels and identities', () => {
    const plan = holding(applied(knp('db', 'db', { ingress: [{ from: [{ podSelector: {} }] }] }), 1n, false));
    plan.change(identityEntry(1003, 'k8s:app=new', PROD));
    assert.equal(decided(plan), undefined);
  });
});
