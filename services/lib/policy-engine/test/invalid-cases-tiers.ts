// SPDX-License-Identifier: Apache-2.0
/** What must be refused of documents with tiers, of groups, and of modes. */
import { type Case, cnp } from './invalid-cases.ts';

const document = (head: string, spec: string): string =>
  `${head}\nmetadata:\n  name: p\nspec:\n  ${spec.replaceAll('\n', '\n  ')}\n`;
const CLUSTER = 'apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy';
const acnp = (rest: string): string =>
  document(CLUSTER, `tier: Admin\npriority: 10\nsubject: {namespaces: {}}\n${rest}`);
const ours = (rest: string, tier = 'Admin'): string =>
  document('apiVersion: weir.io/v1\nkind: FirewallPolicy', `tier: ${tier}\nendpointSelector: {}\n${rest}`);
const group = (spec: string): string => document('apiVersion: cilium.io/v2\nkind: CiliumCIDRGroup', spec);
const from = (peer: string): string => acnp(`ingress: [{action: Deny, from: [${peer}]}]`);
const over = (protocol: string): string =>
  acnp(`ingress: [{action: Deny, from: [{namespaces: {}}], protocols: [${protocol}]}]`);
const RULE = 'spec.ingress[0]';

export const TIER_CASES: readonly Case[] = [
  [
    'no tier',
    document(CLUSTER, 'priority: 1\nsubject: {namespaces: {}}').replace('  priority', '  ~priority'),
    'spec.tier',
    'tier is required',
  ],
  [
    'no priority',
    document(CLUSTER, 'tier: Admin\nsubject: {namespaces: {}}').replace('  tier', '  ~tier'),
    'spec.priority',
    'priority is required',
  ],
  [
    'an unknown tier',
    document(CLUSTER, 'tier: ~Normal\npriority: 1\nsubject: {namespaces: {}}'),
    'spec.tier',
    '"Normal" is not one of Admin, Baseline',
  ],
  [
    'a priority too high',
    document(CLUSTER, 'tier: Admin\npriority: ~1001\nsubject: {namespaces: {}}'),
    'spec.priority',
    '1001 is out of range',
    'use 0 to 1000',
  ],
  [
    'no subject',
    document(CLUSTER, 'tier: Admin\npriority: 1').replace('  tier', '  ~tier'),
    'spec.subject',
    'subject is required',
  ],
  [
    'an empty subject',
    document(CLUSTER, 'tier: Admin\npriority: 1\nsubject: ~{}'),
    'spec.subject',
    'names no subject',
    'write namespaces or pods',
  ],
  [
    'two subjects',
    document(
      CLUSTER,
      'tier: Admin\npriority: 1\nsubject: {namespaces: {}, ~pods: {namespaceSelector: {}, podSelector: {}}}',
    ),
    'spec.subject.pods',
    'pods cannot stand beside namespaces',
  ],
  [
    'pods without a namespaceSelector',
    document(CLUSTER, 'tier: Admin\npriority: 1\nsubject: {pods: ~{podSelector: {}}}'),
    'spec.subject.pods.namespaceSelector',
    'namespaceSelector is required',
  ],
  ['no action', acnp('ingress: [~{from: [{namespaces: {}}]}]'), `${RULE}.action`, 'action is required'],
  [
    'an unknown action',
    acnp('ingress: [{action: ~Allow, from: [{namespaces: {}}]}]'),
    `${RULE}.action`,
    '"Allow" is not one of Accept, Deny, Pass',
  ],
  ['no peers', acnp('ingress: [~{action: Deny}]'), `${RULE}.from`, 'from names nobody'],
  ['an empty list of peers', acnp('ingress: [{action: Deny, from: ~[]}]'), `${RULE}.from`, 'from names nobody'],
  ['an empty peer', from('~{}'), `${RULE}.from[0]`, 'names no peer'],
  ['networks on ingress', from('{~networks: [10.0.0.0/8]}'), `${RULE}.from[0].networks`, 'unknown field "networks"'],
  [
    'nodes',
    acnp('egress: [{action: Deny, to: [{~nodes: {}}]}]'),
    'spec.egress[0].to[0].nodes',
    'nodes is not supported yet',
  ],
  [
    'domainNames',
    acnp('egress: [{action: Accept, to: [{~domainNames: [a.b]}]}]'),
    'spec.egress[0].to[0].domainNames',
    'domainNames is not supported yet',
  ],
  [
    'a network that is an address',
    acnp('egress: [{action: Deny, to: [{networks: [~10.0.0.1]}]}]'),
    'spec.egress[0].to[0].networks[0]',
    '"10.0.0.1" is not a CIDR: the prefix length is missing',
  ],
  [
    '26 networks',
    acnp(`egress: [{action: Deny, to: [{networks: ~[${'10.0.0.0/8, '.repeat(26)}]}]}]`),
    'spec.egress[0].to[0].networks',
    'has 26 networks, more than 25',
  ],
  [
    '26 rules',
    acnp(`ingress: ~[${'{action: Deny, from: [{namespaces: {}}]}, '.repeat(26)}]`),
    'spec.ingress',
    'has 26 rules, more than 25',
  ],
  [
    'a long name',
    acnp(`ingress: [{action: Deny, name: ~${'a'.repeat(101)}, from: [{namespaces: {}}]}]`),
    `${RULE}.name`,
    'has 101 characters, more than 100',
  ],
  ['an empty protocol', over('~{}'), `${RULE}.protocols[0]`, 'names no protocol'],
  ['two protocols in one', over('{tcp: {}, ~udp: {}}'), `${RULE}.protocols[0].udp`, 'udp cannot stand beside tcp'],
  [
    'port 0',
    over('{tcp: {destinationPort: {number: ~0}}}'),
    `${RULE}.protocols[0].tcp.destinationPort.number`,
    '0 is out of range',
  ],
  [
    'a range that falls',
    over('{tcp: {destinationPort: {range: {start: 9, end: ~8}}}}'),
    `${RULE}.protocols[0].tcp.destinationPort.range.end`,
    'end 8 is below start 9',
  ],
  [
    'a bad port name',
    over('{destinationNamedPort: ~HTTP}'),
    `${RULE}.protocols[0].destinationNamedPort`,
    '"HTTP" is not a port name',
  ],
  [
    'a namespace of a cluster-wide one',
    acnp('').replace('  name: p', '  name: p\n  ~namespace: x'),
    'metadata.namespace',
    'a cluster-wide policy has no namespace',
  ],
  // our own
  [
    'a priority in the Normal tier',
    ours('~priority: 3\ningress: [{action: Allow}]', 'Normal'),
    'spec.priority',
    'the Normal tier has no order',
  ],
  [
    'a pass in the Normal tier',
    ours('ingress: [~{action: Pass}]', 'Normal'),
    `${RULE}.action`,
    'the Normal tier passes nothing on',
  ],
  [
    'a rule without action',
    ours('ingress: [~{fromEntities: [all]}]'),
    `${RULE}.action`,
    'action is required',
    'write Allow, Deny or Pass',
  ],
  [
    'a default deny of a list',
    ours('~enableDefaultDeny: {ingress: true}\ningress: [{action: Deny}]'),
    'spec.enableDefaultDeny',
    'only the Normal tier has a default deny',
  ],
  [
    'our own without rules',
    'apiVersion: weir.io/v1\nkind: FirewallPolicy\nmetadata: {name: p}\n~spec: {endpointSelector: {}}\n',
    'spec',
    'has no rules',
  ],
  [
    'our own without a selector',
    'apiVersion: weir.io/v1\nkind: FirewallPolicy\nmetadata: {name: p}\nspec: ~{ingress: [{action: Deny}]}\n',
    'spec.endpointSelector',
    'endpointSelector is required',
  ],
  [
    'an unknown mode',
    ours('mode: ~dry-run\ningress: [{action: Deny}]'),
    'spec.mode',
    '"dry-run" is not one of enforce, audit, staged, off',
  ],
  [
    'a staged action of a policy in force',
    ours('~stagedAction: Delete\ningress: [{action: Deny}]'),
    'spec.stagedAction',
    'only a staged policy has it',
  ],
  [
    'an unknown staged action',
    ours('mode: staged\nstagedAction: ~Remove\ningress: [{action: Deny}]'),
    'spec.stagedAction',
    '"Remove" is not one of Set, Delete, Learn, Ignore',
  ],
  [
    'deleting nothing',
    ours('mode: staged\nstagedAction: ~Delete\ningress: [{action: Deny}]'),
    'spec.stagedAction',
    'says to delete, but not which policy',
  ],
  [
    'staging what is no policy',
    ours('mode: staged\nstages: ~web\ningress: [{action: Deny}]'),
    'spec.stages',
    '"web" names no policy',
  ],
  [
    'an unknown mode by annotation',
    cnp('ingress: [{}]').replace('  name: p', '  name: p\n  annotations: {weir.io/mode: ~Audit}'),
    'metadata.annotations["weir.io/mode"]',
    '"Audit" is not one of enforce, audit, staged, off',
    'write audit',
  ],
  [
    'an unknown annotation of ours',
    cnp('ingress: [{}]').replace('  name: p', '  name: p\n  annotations: {~weir.io/modus: audit}'),
    'metadata.annotations["weir.io/modus"]',
    'weir.io/modus is not supported',
  ],
  // groups
  [
    'a group without prefixes',
    group('~{}').replace('spec:\n  ', 'spec: '),
    'spec.externalCIDRs',
    'externalCIDRs is required',
  ],
  [
    'a group with a bad prefix',
    group('externalCIDRs: [~10.0.0.0/33]'),
    'spec.externalCIDRs[0]',
    '"10.0.0.0/33" is not a CIDR: prefix length 33 is more than 32',
  ],
  [
    'a group beside cidr',
    cnp('egress: [{toCIDRSet: [{cidr: 10.0.0.0/8, ~cidrGroupRef: a}]}]'),
    'spec.egress[0].toCIDRSet[0].cidrGroupRef',
    'cidr cannot stand beside a CIDR group',
  ],
  [
    'except beside a group',
    cnp('egress: [{toCIDRSet: [{cidrGroupRef: a, ~except: [10.0.0.0/8]}]}]'),
    'spec.egress[0].toCIDRSet[0].except',
    'except cannot stand beside a CIDR group',
  ],
];
