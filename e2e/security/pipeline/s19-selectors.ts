// SPDX-License-Identifier: Apache-2.0
/**
 * Selectors that find nobody let nobody in, and a word that is not understood makes no policy: asked of the service,
 * and of the engine that every agent enforces with.
 */
import type { TestContext } from 'node:test';
import type { Pipeline } from '@weir/infra/pipeline';
import { explain, parseDocuments } from '@weir/policy-engine';
import { report } from '../../lib/figures.ts';

const cilium = (spec: string): string =>
  `apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: s19, namespace: prod}\nspec: {endpointSelector: {}, ${spec}}\n`;
const kubernetes = (spec: string): string =>
  `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: s19, namespace: prod}\nspec: {podSelector: {}, ${spec}}\n`;

/** Legal, and nobody matches: nothing gets in. */
const NOBODY: Readonly<Record<string, string>> = {
  'an empty list of peers': cilium('ingress: [{fromEndpoints: []}]'),
  'an empty list of CIDRs': cilium('ingress: [{fromCIDR: []}]'),
  'an empty list of CIDR sets': cilium('ingress: [{fromCIDRSet: []}]'),
  'an empty list of entities': cilium('ingress: [{fromEntities: []}]'),
  'an entity that is nobody': cilium('ingress: [{fromEntities: [none]}]'),
  'labels that nobody has': cilium('ingress: [{fromEndpoints: [{matchLabels: {app: gone}}]}]'),
  'a key that must be there and is not': kubernetes(
    'ingress: [{from: [{podSelector: {matchExpressions: [{key: gone, operator: Exists}]}}]}]',
  ),
  'a namespace that nobody has': kubernetes('ingress: [{from: [{namespaceSelector: {matchLabels: {team: gone}}}]}]'),
  'no rules': kubernetes('ingress: []'),
  'a group that is not there': cilium('ingress: [{fromCIDRSet: [{cidrGroupRef: gone}]}]'),
  'a selector of groups that finds none': cilium(
    'ingress: [{fromCIDRSet: [{cidrGroupSelector: {matchLabels: {team: gone}}}]}]',
  ),
};

/** A group without prefixes, and rules that name it by name and by label: the world is not let in by it. */
const EMPTY_GROUP = `apiVersion: cilium.io/v2
kind: CiliumCIDRGroup
metadata: {name: s19, labels: {team: empty}}
spec: {externalCIDRs: []}
---
${cilium('ingress: [{fromCIDRSet: [{cidrGroupRef: s19}]}, {fromCIDRSet: [{cidrGroupSelector: {matchLabels: {team: empty}}}]}]')}`;

/** Not understood, not resolvable, or a slip of the pen: refused, never taken for nothing or for all. */
const REFUSED: Readonly<Record<string, string>> = {
  'an unknown field of a rule': cilium('ingress: [{fromEndpoint: [{}]}]'),
  'an unknown field of the spec': kubernetes('ingresss: []'),
  'an unknown field of a selector': kubernetes('ingress: [{from: [{podSelector: {matchLabel: {}}}]}]'),
  'an empty operand of In': kubernetes(
    'ingress: [{from: [{podSelector: {matchExpressions: [{key: a, operator: In, values: []}]}}]}]',
  ),
  'an unknown operator': kubernetes('ingress: [{from: [{podSelector: {matchExpressions: [{key: a, operator: Is}]}}]}]'),
  'a group in a cloud': cilium('ingress: [{fromGroups: [{aws: {securityGroupsIds: [sg-1]}}]}]'),
  'an unknown entity': cilium('ingress: [{fromEntities: [everyone]}]'),
  'a name of DNS that nobody resolves': cilium('egress: [{toFQDNs: [{matchName: gone.example}]}]'),
  'an unknown field of a set of CIDRs': cilium('ingress: [{fromCIDRSet: [{cidrGroup: gone}]}]'),
};

const endpoint = (app: string) => ({ name: app, labels: [`k8s:app=${app}`, 'k8s:io.kubernetes.pod.namespace=prod'] });

export const emptySelectors = async (t: TestContext, pipeline: Pipeline): Promise<void> => {
  const url = `${pipeline.control.urls.policy}/v1/policies?dry_run=true`;
  const apply = async (body: string): Promise<number> =>
    (await fetch(url, { method: 'POST', headers: { 'content-type': 'application/yaml' }, body })).status;
  const wrong: string[] = [];
  for (const [name, text] of Object.entries(NOBODY)) {
    const { documents, issues } = parseDocuments(text);
    if (issues.length > 0) {
      // Refusing is as safe; but it must be a refusal.
      if ((await apply(text)) !== 422) wrong.push(`${name}: not refused by the service`);
      continue;
    }
    const { verdict } = explain({
      policies: documents.map((doc) => ({ doc, ruleIds: new Map() })),
      from: endpoint('a'),
      to: endpoint('b'),
      protocol: 6,
      port: 80,
    });
    if (verdict === 'allow') wrong.push(`${name}: lets others in`);
    if ((await apply(text)) !== 200) wrong.push(`${name}: the service and the engine disagree`);
  }
  const { documents, issues } = parseDocuments(EMPTY_GROUP);
  for (const from of [endpoint('a'), { name: 'world', ip: '192.0.2.1' }, { name: 'world', ip: '2001:db8::1' }]) {
    const policies = documents.map((doc) => ({ doc, ruleIds: new Map() }));
    const { verdict } = explain({ policies, from, to: endpoint('b'), protocol: 6, port: 80 });
    if (issues.length > 0 || verdict === 'allow') wrong.push(`an empty group: lets ${from.name} in`);
  }
  if ((await apply(EMPTY_GROUP)) !== 200) wrong.push('an empty group: the service and the engine disagree');
  for (const [name, text] of Object.entries(REFUSED)) {
    const status = await apply(text);
    if (status !== 422) wrong.push(`${name}: ${status}`);
  }
  report(
    t,
    'S19',
    {
      nobody: Object.keys(NOBODY).length + 1,
      refused: Object.keys(REFUSED).length,
      wrong: wrong.join('; ') || 'none',
    },
    [['selects nothing, or is refused', wrong.length === 0]],
  );
};
