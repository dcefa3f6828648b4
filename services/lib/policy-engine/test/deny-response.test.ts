// SPDX-License-Identifier: Apache-2.0
/** How refusals are answered: by rule, by policy, by annotation, and who is listened to when several say it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type DenyResponse, explain } from '../src/index.ts';
import { createFleet, parseOk } from './fleet.ts';
import { type Refusal, testRefusal } from './refusal.ts';

const PODS = { web: { labels: { app: 'web' } }, cli: { labels: { app: 'cli' } }, db: { labels: { app: 'db' } } };
const ours = (spec: string, name = 'p'): string =>
  `apiVersion: weir.io/v1\nkind: FirewallPolicy\nmetadata: {name: ${name}, namespace: default}\nspec:\n  endpointSelector: {matchLabels: {app: web}}\n  ${spec.replaceAll('\n', '\n  ')}\n`;
const deny = (app: string, response: string): string =>
  `{action: Deny, fromEndpoints: [{matchLabels: {app: ${app}}}]${response === '' ? '' : `, denyResponse: ${response}`}}`;

/** How `from` hears that it may not connect to web. */
const heard = (text: string, from: string, direction: 'ingress' | 'egress' = 'ingress'): DenyResponse | 'allowed' => {
  const fleet = createFleet({ pods: PODS }, text);
  const { verdict, response } = fleet.half('web', from, direction, 'TCP/80');
  return verdict === 'allow' ? 'allowed' : (response ?? 'None');
};

describe('responses to what is refused', () => {
  test('a rule says its own, and else what its policy says; without either it is silent', () => {
    const rules = `ingress: [${deny('cli', 'Icmp')}, ${deny('db', '')}]`;
    assert.equal(heard(ours(`denyResponse: Reset\n${rules}`), 'cli'), 'Icmp');
    assert.equal(heard(ours(`denyResponse: Reset\n${rules}`), 'db'), 'Reset');
    assert.equal(heard(ours(rules), 'db'), 'None');
    assert.equal(heard(ours(`denyResponse: Reset\ningress: [${deny('db', 'None')}]`), 'db'), 'None');
  });

  test('a default deny by its policy; of several policies the one that says most', () => {
    assert.equal(heard(ours('denyResponse: Icmp\ningress: [{action: Allow, fromEndpoints: []}]'), 'cli'), 'Icmp');
    assert.equal(
      heard(ours('denyResponse: Icmp\ningress: [{action: Allow, fromEndpoints: []}]'), 'cli', 'egress'),
      'allowed',
    );
    const several = ['', 'denyResponse: Icmp\n', 'denyResponse: Reset\n'].map((response, at) =>
      ours(`${response}ingress: [{action: Allow, fromEndpoints: []}]`, `p${at}`),
    );
    assert.equal(heard(several.join('---\n'), 'cli'), 'Reset');
    assert.equal(heard(several.slice(0, 2).join('---\n'), 'cli'), 'Icmp');
  });

  test('of an ordered tier the rule that decides', () => {
    const text = ours(`tier: Admin\ningress: [${deny('cli', 'Icmp')}, {action: Deny, denyResponse: Reset}]`);
    assert.deepEqual([heard(text, 'cli'), heard(text, 'db')], ['Icmp', 'Reset']);
  });

  test('documents of other kinds say it by annotation, of their denials and default denials', () => {
    const head = (kind: string, more: string) =>
      `${kind}\nmetadata: {name: p, namespace: default, annotations: {weir.io/deny-response: Reset}}\n${more}`;
    const knp = head(
      'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy',
      'spec: {podSelector: {matchLabels: {app: web}}, ingress: []}',
    );
    const cnp = head(
      'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy',
      'spec: {endpointSelector: {matchLabels: {app: web}}, enableDefaultDeny: {ingress: false}, ingressDeny: [{fromEndpoints: [{matchLabels: {app: cli}}]}]}',
    );
    assert.equal(heard(knp, 'cli'), 'Reset');
    assert.equal(heard(cnp, 'cli'), 'Reset');
    assert.equal(heard(cnp, 'db'), 'allowed');
  });

  test('a document prints back to an equal one, and explain says how it is answered', () => {
    const text = ours(`denyResponse: Reset\ningress: [${deny('cli', 'Icmp')}]`);
    const [doc] = parseOk(text);
    assert.ok(doc);
    const again = parseOk(JSON.stringify(doc.json))[0];
    assert.deepEqual(again?.json, doc.json);
    assert.deepEqual(
      again?.specs.map(({ denyResponse, rules }) => [denyResponse, rules.map((rule) => rule.denyResponse)]),
      [['Reset', ['Icmp']]],
    );
    const pod = (app: string) => ({ name: app, labels: [`k8s:app=${app}`, 'k8s:io.kubernetes.pod.namespace=default'] });
    const ask = (from: string) =>
      explain({ policies: [{ doc, ruleIds: new Map() }], from: pod(from), to: pod('web'), protocol: 6, port: 80 })
        .ingress;
    assert.equal(ask('cli').response, 'Icmp');
    assert.match(ask('cli').text, /; answered with ICMP: administratively prohibited/);
    assert.match(ask('db').text, /no rule allows it; .*; answered with a TCP reset/);
  });

  const ISSUES: readonly Refusal[] = [
    [
      'an unknown answer',
      ours('denyResponse: Shout\ningress: [{action: Deny}]'),
      'spec.denyResponse',
      'is not one of None, Reset, Icmp',
    ],
    [
      'of an allow',
      ours('ingress: [{action: Allow, denyResponse: Reset}]'),
      'spec.ingress[0].denyResponse',
      'only a Deny is answered',
    ],
    [
      'of a host',
      'apiVersion: weir.io/v1\nkind: FirewallPolicy\nmetadata: {name: p}\nspec: {nodeSelector: {}, denyResponse: Reset, ingress: [{action: Deny}]}\n',
      'spec.denyResponse',
      'what a host refuses is not answered yet',
    ],
    [
      'of a host, by annotation',
      'apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {name: p, annotations: {weir.io/deny-response: Icmp}}\nspec: {nodeSelector: {}, ingress: [{}]}\n',
      'metadata.annotations["weir.io/deny-response"]',
      'what a host refuses is not answered yet',
    ],
    [
      'of a group',
      'apiVersion: cilium.io/v2\nkind: CiliumCIDRGroup\nmetadata: {name: p, annotations: {weir.io/deny-response: Icmp}}\nspec: {externalCIDRs: []}\n',
      'metadata.annotations["weir.io/deny-response"]',
      'a group refuses nothing',
    ],
  ];
  for (const one of ISSUES) testRefusal(one);
});
