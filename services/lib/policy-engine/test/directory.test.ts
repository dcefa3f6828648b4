// SPDX-License-Identifier: Apache-2.0
/** Hosts and services as peers: who is meant, by name and by labels, what an empty one selects, and what is refused. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CidrGroup, directoryGroup, explain, lintPolicies, refersToDirectory, withGroups } from '../src/index.ts';
import { createFleet, parseOk } from './fleet.ts';
import { type Refusal, testRefusal } from './refusal.ts';

const host = (id: string, labels: Record<string, string>, underlayIp4: string, underlayIp6 = ''): CidrGroup =>
  directoryGroup({ case: 'host', value: { id, labels, underlayIp4, underlayIp6 } });
const service = (namespace: string, name: string, labels: Record<string, string>, ...addresses: string[]): CidrGroup =>
  directoryGroup({
    case: 'service',
    value: { namespace, name, labels, backends: addresses.map((address) => ({ address })) },
  });

const DIRECTORY = [
  host('h1', { role: 'edge' }, '192.168.0.1', 'fd00::1'),
  host('h2', { role: 'core' }, '192.168.0.2'),
  service('shop', 'db', { tier: 'data' }, '10.1.0.5', '203.0.113.7'),
  service('shop', 'cache', { tier: 'data' }, '10.1.0.6'),
  service('other', 'db', { tier: 'data' }, '10.1.0.7'),
  service('shop', 'none', {}),
];
const PODS = {
  web: { ns: 'shop', labels: { app: 'web' }, ip: '10.1.0.2' },
  db: { ns: 'shop', labels: { app: 'db' }, ip: '10.1.0.5' },
  cache: { ns: 'shop', labels: { app: 'cache' }, ip: '10.1.0.6' },
  far: { ns: 'other', labels: { app: 'db' }, ip: '10.1.0.7' },
};
const OTHERS = { edge: '192.168.0.1', edge6: 'fd00::1', core: '192.168.0.2', external: '203.0.113.7' };

const cnp = (rules: string, kind = 'CiliumNetworkPolicy', namespace = ', namespace: shop'): string =>
  `apiVersion: cilium.io/v2\nkind: ${kind}\nmetadata: {name: p${namespace}}\nspec:\n  endpointSelector: {matchLabels: {app: web}}\n  ${rules}\n`;

/** Whom of all web may talk to, or who to it. */
const peersOf = (text: string, direction: 'egress' | 'ingress' = 'egress'): string[] => {
  const docs = withGroups(
    parseOk(text).map((doc) => ({ doc })),
    DIRECTORY,
  ).map(({ doc }) => doc);
  const fleet = createFleet({ pods: PODS, others: OTHERS }, docs);
  return [...Object.keys(PODS), ...Object.keys(OTHERS)].filter(
    (name) => name !== 'web' && fleet.half('web', name, direction, 'TCP/80').verdict === 'allow',
  );
};
const byService = (service: string): string => cnp(`egress: [{toServices: [{${service}}]}]`);

describe('hosts and services as peers', () => {
  test('hosts by their labels, in both families', () => {
    assert.deepEqual(peersOf(cnp('egress: [{toNodes: [{matchLabels: {role: edge}}]}]')), ['edge', 'edge6']);
    assert.deepEqual(peersOf(cnp('ingress: [{fromNodes: [{matchLabels: {role: core}}]}]'), 'ingress'), ['core']);
    assert.deepEqual(peersOf(cnp('egress: [{toNodes: [{}]}]')), ['edge', 'edge6', 'core']);
    assert.deepEqual(
      peersOf(cnp('egress: [{toNodes: [{matchExpressions: [{key: role, operator: NotIn, values: [edge]}]}]}]')),
      ['core'],
    );
    assert.deepEqual(peersOf(cnp('egress: [{toNodes: []}]')), []);
    assert.deepEqual(peersOf(cnp('egress: [{toNodes: [{matchLabels: {role: nobody}}]}]')), [], 'nobody is nobody');
  });

  test('services by name: backends, workloads and others, in the namespace of the policy or another', () => {
    assert.deepEqual(peersOf(byService('k8sService: {serviceName: db}')), ['db', 'external']);
    assert.deepEqual(peersOf(byService('k8sService: {serviceName: db, namespace: other}')), ['far']);
    assert.deepEqual(peersOf(byService('k8sService: {serviceName: none}')), [], 'without backends it is nobody');
    assert.deepEqual(peersOf(byService('k8sService: {serviceName: gone}')), [], 'and one that is not there');
  });

  test('services by labels, of all namespaces or one', () => {
    const data = 'k8sServiceSelector: {selector: {matchLabels: {tier: data}}';
    assert.deepEqual(peersOf(byService(`${data}}`)), ['db', 'cache', 'far', 'external']);
    assert.deepEqual(peersOf(byService(`${data}, namespace: other}`)), ['far']);
  });

  test('beside ports, and in a deny of hosts', () => {
    const fleet = createFleet(
      { pods: PODS, others: OTHERS },
      withGroups(
        parseOk(
          cnp(
            'egress: [{toServices: [{k8sService: {serviceName: db}}], toPorts: [{ports: [{port: "80"}]}]}, {toEntities: [all]}]\n  egressDeny: [{toNodes: [{matchLabels: {role: edge}}]}]',
          ),
        ).map((doc) => ({ doc })),
        DIRECTORY,
      ).map(({ doc }) => doc),
    );
    assert.equal(fleet.half('web', 'edge', 'egress', 'TCP/80').verdict, 'deny');
    assert.equal(fleet.half('web', 'core', 'egress', 'TCP/80').verdict, 'allow');
  });

  test('explain asks the same, a document prints back to an equal one, and lint leaves it alone', () => {
    const [doc] = parseOk(byService('k8sService: {serviceName: db}'));
    assert.ok(doc && refersToDirectory(doc));
    assert.deepEqual(parseOk(JSON.stringify(doc.json))[0]?.json, doc.json);
    assert.deepEqual(
      lintPolicies([doc]).filter(({ level }) => level === 'warning'),
      [],
    );
    const pod = (app: string, ip: string) => ({
      ...{ name: app, ip, labels: [`k8s:app=${app}`, 'k8s:io.kubernetes.pod.namespace=shop'] },
    });
    const ask = (directory: readonly CidrGroup[]) =>
      explain({
        ...{ policies: [{ doc, ruleIds: new Map() }], directory, protocol: 6, port: 80 },
        ...{ from: pod('web', '10.1.0.2'), to: pod('db', '10.1.0.5') },
      }).verdict;
    assert.deepEqual([ask(DIRECTORY), ask([])], ['allow', 'deny']);
  });

  const AT = 'spec.egress[0].toServices[0]';
  const CCNP = 'CiliumClusterwideNetworkPolicy';
  const ISSUES: readonly Refusal[] = [
    ['neither name nor selector', byService(''), `${AT}.k8sService`, 'k8sService is required'],
    [
      'both',
      byService('k8sService: {serviceName: db}, k8sServiceSelector: {selector: {}}'),
      `${AT}.k8sServiceSelector`,
      'cannot stand beside k8sService',
    ],
    ['no name', byService('k8sService: {}'), `${AT}.k8sService.serviceName`, 'serviceName is required'],
    ['no selector', byService('k8sServiceSelector: {}'), `${AT}.k8sServiceSelector.selector`, 'selector is required'],
    [
      'a name that is none',
      byService('k8sService: {serviceName: "D B"}'),
      `${AT}.k8sService.serviceName`,
      'is not a valid name',
    ],
    [
      'no namespace anywhere',
      cnp('egress: [{toServices: [{k8sService: {serviceName: db}}]}]', CCNP, ''),
      `${AT}.k8sService.namespace`,
      'namespace is required',
    ],
    [
      'beside another kind of peer',
      cnp('egress: [{toNodes: [{}], toEntities: [world]}]'),
      'spec.egress[0].toNodes',
      'cannot stand beside',
    ],
    [
      'in the policy of a host',
      `apiVersion: cilium.io/v2\nkind: ${CCNP}\nmetadata: {name: p}\nspec: {nodeSelector: {}, egress: [{toNodes: [{}]}]}\n`,
      'spec.egress[0].toNodes[0]',
      'are not supported yet',
    ],
  ];
  for (const one of ISSUES) testRefusal(one);
});
