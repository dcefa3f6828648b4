// SPDX-License-Identifier: Apache-2.0
/** Rules that name hosts and services: what the planner enforces follows who they are. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Planner } from '../src/plan/planner.ts';
import {
  cnp,
  fullHostEntry,
  identityEntry,
  policyEntry,
  removal,
  serviceEntry,
  workloadEntry,
} from './support/entries.ts';
import { judgeTable, peerOf } from './support/judge-table.ts';

const WEB = identityEntry(1001, 'k8s:app=web', 'k8s:io.kubernetes.pod.namespace=prod');
const DB = identityEntry(1002, 'k8s:app=db', 'k8s:io.kubernetes.pod.namespace=prod');

const service = (...addresses: string[]) =>
  serviceEntry({
    ...{ id: 'prod.db', number: 1, namespace: 'prod', name: 'db' },
    backends: addresses.map((address, at) => ({ number: at + 1, address, port: 80, protocol: 6 })),
  });

const reaches = (plan: Planner, ip: string): boolean => {
  const desired = plan.compute();
  const policy = desired.workloads.get('prod.web')?.policy;
  const ipcache = new Map(plan.ipcache.entries());
  const { identity, twin } = peerOf({ ipcache, cidrs: new Map(desired.cidrs) }, ip);
  return (
    judgeTable(policy?.flags ?? 0, policy?.table, { egress: true, identity, protocol: 6, port: 80 }, twin) === 'allow'
  );
};

const planner = (rules: Record<string, unknown>): Planner => {
  const plan = new Planner({ host: 'h1', allowHost: true });
  plan.setFacts({ addresses: [], configurationComplete: true });
  for (const one of [
    ...[WEB, DB, workloadEntry('prod.web', 1001)],
    workloadEntry('prod.db', 1002, { host: 'h2', ip4: '10.2.0.2', ip6: '' }),
    policyEntry(cnp('out', 'web', { egress: [rules] })),
  ])
    plan.change(one);
  return plan;
};

it('services: their backends, as they come and go; a service without any is nobody', () => {
  const plan = planner({ toServices: [{ k8sService: { serviceName: 'db' } }] });
  assert.equal(reaches(plan, '10.2.0.2'), false, 'the service is not there yet');
  plan.change(service('10.2.0.2', '203.0.113.7'));
  assert.deepEqual([reaches(plan, '10.2.0.2'), reaches(plan, '203.0.113.7')], [true, true]);
  plan.change(service('203.0.113.7'));
  assert.deepEqual([reaches(plan, '10.2.0.2'), reaches(plan, '203.0.113.7')], [false, true]);
  plan.change(service());
  assert.equal(reaches(plan, '203.0.113.7'), false);
  plan.change(service('10.2.0.2'));
  assert.equal(reaches(plan, '10.2.0.2'), true);
  plan.change(removal('service', 'prod.db'));
  assert.equal(reaches(plan, '10.2.0.2'), false);
});

it('hosts: by labels that change', () => {
  const plan = planner({ toNodes: [{ matchLabels: { role: 'edge' } }] });
  const host = (role: string) =>
    fullHostEntry({ id: 'h2', underlayIp4: '192.168.0.2', pools: ['10.2.0.0/24'], labels: { role } });
  plan.change(host('core'));
  assert.equal(reaches(plan, '192.168.0.2'), false);
  plan.change(host('edge'));
  assert.equal(reaches(plan, '192.168.0.2'), true);
  plan.change(removal('host', 'h2'));
  assert.equal(reaches(plan, '192.168.0.2'), false);
});
