// SPDX-License-Identifier: Apache-2.0
/**
 * What must be refused: each document with `~` before the place that is wrong. The issue must name the path, that line and
 * column, the value, and a fix; nothing of the document may be used.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDocuments } from '../src/index.ts';

/** [name, text with ~ where the issue must point, path, message, fix] */
type Case = readonly [string, string, string, string, string?];

const knp = (spec: string): string =>
  `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: p\nspec:\n  ${spec.replaceAll('\n', '\n  ')}\n`;
const cnp = (spec: string): string =>
  `apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  name: p\nspec:\n  endpointSelector: {}\n  ${spec.replaceAll('\n', '\n  ')}\n`;
const cnpMeta = (metadata: string): string =>
  `apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  ${metadata}\nspec: {endpointSelector: {}, ingress: [{}]}\n`;

const CASES: readonly Case[] = [
  // the document
  ['no kind', '~apiVersion: networking.k8s.io/v1\n', 'kind', 'kind is required'],
  ['another kind', 'apiVersion: v1\nkind: ~Pod\n', 'kind', 'kind "Pod" is not a policy'],
  [
    'a kind for later',
    'apiVersion: x\nkind: ~CiliumCIDRGroup\n',
    'kind',
    'kind "CiliumCIDRGroup" is not supported yet',
  ],
  [
    'an old version',
    'apiVersion: ~extensions/v1beta1\nkind: NetworkPolicy\n',
    'apiVersion',
    'apiVersion "extensions/v1beta1" has no kind NetworkPolicy',
    'write networking.k8s.io/v1',
  ],
  ['a list instead of an object', '~- a\n', '', 'must be an object, not a list'],
  [
    'no spec',
    '~apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n',
    'spec',
    'spec is required',
  ],
  [
    'specs in a NetworkPolicy',
    'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {}\n~specs: []\n',
    'specs',
    'unknown field "specs"',
    'did you mean "spec"?',
  ],
  ['nothing', '~# only a comment\n', '', 'holds no policy document'],
  // metadata
  ['no name', cnpMeta('~namespace: x'), 'metadata.name', 'name is required'],
  ['a bad name', cnpMeta('name: ~Web_1'), 'metadata.name', '"Web_1" is not a valid name'],
  ['a number as a name', cnpMeta('name: ~12'), 'metadata.name', 'must be text, not a number', 'put it in quotes: "12"'],
  ['a bad namespace', cnpMeta('name: p\n  namespace: ~a.b'), 'metadata.namespace', '"a.b" is not a valid namespace'],
  ['a bad label value', cnpMeta('name: p\n  labels: {a: ~"b c"}'), 'metadata.labels.a', '"b c" is not a label value'],
  ['a bad label key', cnpMeta('name: p\n  labels: {~"a b": c}'), 'metadata.labels["a b"]', '"a b" is not a label key'],
  ['unknown metadata', cnpMeta('~nmae: p\n  name: p'), 'metadata.nmae', 'unknown field "nmae"', 'did you mean "name"?'],
  [
    'a namespace in a cluster-wide policy',
    'apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {name: p, ~namespace: x}\nspec: {endpointSelector: {}, ingress: [{}]}\n',
    'metadata.namespace',
    'a cluster-wide policy has no namespace',
  ],
  // selectors
  [
    'an unknown operator',
    knp('podSelector: {matchExpressions: [{key: a, operator: ~in, values: [b]}]}'),
    'spec.podSelector.matchExpressions[0].operator',
    '"in" is not one of In, NotIn, Exists, DoesNotExist',
    'write In',
  ],
  [
    'In without values',
    knp('podSelector: {matchExpressions: [{key: a, operator: In, values: ~[]}]}'),
    'spec.podSelector.matchExpressions[0].values',
    'In needs values',
  ],
  [
    'Exists with values',
    knp('podSelector: {matchExpressions: [{key: a, operator: Exists, ~values: [b]}]}'),
    'spec.podSelector.matchExpressions[0].values',
    'Exists takes no values',
  ],
  ['a selector as a list', knp('podSelector: ~[]'), 'spec.podSelector', 'must be an object, not a list'],
  [
    'a source in a Kubernetes key',
    knp('podSelector: {matchLabels: {~"k8s:app": web}}'),
    'spec.podSelector.matchLabels["k8s:app"]',
    '"k8s:app" is not a label key',
  ],
  [
    'a boolean as a value',
    knp('podSelector: {matchLabels: {app: ~true}}'),
    'spec.podSelector.matchLabels.app',
    'must be text, not a boolean',
    'put it in quotes: "true"',
  ],
  // Kubernetes NetworkPolicy
  [
    'an unknown field',
    knp('podSelector: {}\n~policyType: [Ingress]'),
    'spec.policyType',
    'unknown field "policyType"',
    'did you mean "policyTypes"?',
  ],
  [
    'an unknown policy type',
    knp('podSelector: {}\npolicyTypes: [~ingress]'),
    'spec.policyTypes[0]',
    '"ingress" is not one of Ingress, Egress',
    'write Ingress',
  ],
  ['to in an ingress rule', knp('podSelector: {}\ningress: [{~to: []}]'), 'spec.ingress[0].to', 'unknown field "to"'],
  [
    'a peer that names none',
    knp('podSelector: {}\ningress: [{from: [~{}]}]'),
    'spec.ingress[0].from[0]',
    'names no peer',
  ],
  ['an empty element', knp('podSelector: {}\ningress:\n- ~null'), 'spec.ingress[0]', 'is empty'],
  [
    'ipBlock beside a selector',
    knp('podSelector: {}\ningress: [{from: [{podSelector: {}, ~ipBlock: {cidr: 10.0.0.0/8}}]}]'),
    'spec.ingress[0].from[0].ipBlock',
    'ipBlock cannot stand beside podSelector',
  ],
  [
    'ipBlock without cidr',
    knp('podSelector: {}\ningress: [{from: [{ipBlock: ~{except: []}}]}]'),
    'spec.ingress[0].from[0].ipBlock.cidr',
    'cidr is required',
  ],
  [
    'an address instead of a prefix',
    knp('podSelector: {}\negress: [{to: [{ipBlock: {cidr: ~10.0.0.1}}]}]'),
    'spec.egress[0].to[0].ipBlock.cidr',
    '"10.0.0.1" is not a CIDR: the prefix length is missing',
    'write 10.0.0.1/32 for this one address',
  ],
  [
    'a mask that is not contiguous',
    knp('podSelector: {}\negress: [{to: [{ipBlock: {cidr: ~10.0.0.0/255.0.255.0}}]}]'),
    'spec.egress[0].to[0].ipBlock.cidr',
    '"10.0.0.0/255.0.255.0" is not a CIDR: the mask 255.0.255.0 is not contiguous',
  ],
  [
    'except outside',
    knp('podSelector: {}\negress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [~11.0.0.0/16]}}]}]'),
    'spec.egress[0].to[0].ipBlock.except[0]',
    'except 11.0.0.0/16 does not lie inside 10.0.0.0/8',
  ],
  [
    'except of the other family',
    knp('podSelector: {}\negress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [~"fd00::/8"]}}]}]'),
    'spec.egress[0].to[0].ipBlock.except[0]',
    'except fd00::/8 does not lie inside 0.0.0.0/0',
  ],
  [
    'except equal to cidr',
    knp('podSelector: {}\negress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [~10.0.0.0/8]}}]}]'),
    'spec.egress[0].to[0].ipBlock.except[0]',
    'except 10.0.0.0/8 does not lie inside 10.0.0.0/8',
  ],
  [
    'port 0',
    knp('podSelector: {}\ningress: [{ports: [{port: ~0}]}]'),
    'spec.ingress[0].ports[0].port',
    '0 is out of range',
    'use 1 to 65535',
  ],
  [
    'port 65536',
    knp('podSelector: {}\ningress: [{ports: [{port: ~65536}]}]'),
    'spec.ingress[0].ports[0].port',
    '65536 is out of range',
  ],
  [
    'half a port',
    knp('podSelector: {}\ningress: [{ports: [{port: ~80.5}]}]'),
    'spec.ingress[0].ports[0].port',
    '80.5 is not a whole number',
  ],
  [
    'a number in quotes',
    knp('podSelector: {}\ningress: [{ports: [{port: ~"80"}]}]'),
    'spec.ingress[0].ports[0].port',
    '"80" is not a port name',
    'write 80 without quotes',
  ],
  [
    'a long port name',
    knp('podSelector: {}\ningress: [{ports: [{port: ~a-name-of-16-char}]}]'),
    'spec.ingress[0].ports[0].port',
    '"a-name-of-16-char" is not a port name',
  ],
  [
    'an unknown protocol',
    knp('podSelector: {}\ningress: [{ports: [{protocol: ~ICMP}]}]'),
    'spec.ingress[0].ports[0].protocol',
    '"ICMP" is not one of TCP, UDP, SCTP',
  ],
  [
    'a protocol in lower case',
    knp('podSelector: {}\ningress: [{ports: [{protocol: ~tcp}]}]'),
    'spec.ingress[0].ports[0].protocol',
    '"tcp" is not one of TCP, UDP, SCTP',
    'write TCP',
  ],
  [
    'endPort below port',
    knp('podSelector: {}\ningress: [{ports: [{port: 80, endPort: ~79}]}]'),
    'spec.ingress[0].ports[0].endPort',
    'endPort 79 is below port 80',
  ],
  [
    'endPort without port',
    knp('podSelector: {}\ningress: [{ports: [{~endPort: 79}]}]'),
    'spec.ingress[0].ports[0].endPort',
    'endPort needs port',
  ],
  [
    'endPort of a named port',
    knp('podSelector: {}\ningress: [{ports: [{port: http, ~endPort: 79}]}]'),
    'spec.ingress[0].ports[0].endPort',
    'endPort needs a numeric port',
  ],
  [
    'NaN',
    knp('podSelector: {}\ningress: [{ports: [{port: ~.nan}]}]'),
    'spec.ingress[0].ports[0].port',
    'is not a number (NaN)',
  ],
  [
    'a number that would be rounded',
    knp('podSelector: {}\ningress: [{ports: [{port: ~9007199254740993}]}]'),
    'spec.ingress[0].ports[0].port',
    'the number 9007199254740993 is too large',
  ],
  [
    'infinity',
    knp('podSelector: {}\ningress: [{ports: [{port: ~1e400}]}]'),
    'spec.ingress[0].ports[0].port',
    'the number 1e400 is too large',
  ],
  // Cilium
  [
    'no section',
    '~apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\n',
    'spec',
    'spec is required',
  ],
  [
    'no rules',
    'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\n~spec: {endpointSelector: {}}\n',
    'spec',
    'has no rules',
  ],
  [
    'empty sections',
    'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\n~spec: {endpointSelector: {}, ingress: [], egressDeny: []}\n',
    'spec',
    'has no rules',
  ],
  [
    'no selector',
    'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\nspec: ~{ingress: [{}]}\n',
    'spec.endpointSelector',
    'endpointSelector is required',
  ],
  [
    'an empty selector field',
    'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\nspec:\n  ~endpointSelector:\n  ingress: [{}]\n',
    'spec.endpointSelector',
    'endpointSelector is required',
  ],
  ['both selectors', cnp('~nodeSelector: {}\ningress: [{}]'), 'spec.nodeSelector', 'nodeSelector is not supported yet'],
  [
    'a node selector',
    'apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {name: p}\nspec: {~nodeSelector: {}, ingress: [{}]}\n',
    'spec.nodeSelector',
    'nodeSelector is not supported yet',
  ],
  [
    'an entity that is none',
    cnp('ingress: [{fromEntities: [~word]}]'),
    'spec.ingress[0].fromEntities[0]',
    '"word" is not an entity',
  ],
  [
    'an entity for later',
    cnp('ingress: [{fromEntities: [~cluster-mesh]}]'),
    'spec.ingress[0].fromEntities[0]',
    '"cluster-mesh" is not supported yet',
  ],
  [
    'two kinds of peers',
    cnp('ingress: [{fromEndpoints: [{}], ~fromEntities: [world]}]'),
    'spec.ingress[0].fromEntities',
    'fromEntities cannot stand beside fromEndpoints',
  ],
  [
    'two kinds of peers, egress',
    cnp('egress: [{toCIDR: [10.0.0.0/8], ~toCIDRSet: [{cidr: 10.0.0.0/8}]}]'),
    'spec.egress[0].toCIDRSet',
    'toCIDRSet cannot stand beside toCIDR',
  ],
  [
    'a peer of the other direction',
    cnp('egress: [{~fromEndpoints: [{}]}]'),
    'spec.egress[0].fromEndpoints',
    'unknown field "fromEndpoints"',
    'did you mean "toEndpoints"?',
  ],
  [
    'icmps with toPorts',
    cnp('ingress: [{toPorts: [{ports: [{port: "80"}]}], ~icmps: [{fields: [{type: 8}]}]}]'),
    'spec.ingress[0].icmps',
    'icmps cannot stand beside toPorts',
  ],
  [
    '41 ports',
    cnp(`ingress: [{toPorts: [{ports: ~[${'{port: "1"},'.repeat(41)}]}]}]`),
    'spec.ingress[0].toPorts[0].ports',
    'has 41 ports, more than 40',
  ],
  [
    '41 ICMP fields',
    cnp(`ingress: [{icmps: [{fields: ~[${'{type: 8},'.repeat(41)}]}]}]`),
    'spec.ingress[0].icmps[0].fields',
    'has 41 fields, more than 40',
  ],
  [
    'a port that is a number',
    cnp('ingress: [{toPorts: [{ports: [{port: ~80}]}]}]'),
    'spec.ingress[0].toPorts[0].ports[0].port',
    'must be text, not a number',
    'put it in quotes: "80"',
  ],
  [
    'a port out of range',
    cnp('ingress: [{toPorts: [{ports: [{port: ~"65536"}]}]}]'),
    'spec.ingress[0].toPorts[0].ports[0].port',
    '"65536" is not a port',
  ],
  [
    'a port with a leading zero',
    cnp('ingress: [{toPorts: [{ports: [{port: ~"080"}]}]}]'),
    'spec.ingress[0].toPorts[0].ports[0].port',
    '"080" is not a port',
  ],
  [
    'no port',
    cnp('ingress: [{toPorts: [{ports: [~{protocol: TCP}]}]}]'),
    'spec.ingress[0].toPorts[0].ports[0].port',
    'port is required',
  ],
  [
    'a bad port name',
    cnp('ingress: [{toPorts: [{ports: [{port: ~a--b}]}]}]'),
    'spec.ingress[0].toPorts[0].ports[0].port',
    '"a--b" is not a port',
  ],
  [
    'endPort below',
    cnp('ingress: [{toPorts: [{ports: [{port: "80", endPort: ~70}]}]}]'),
    'spec.ingress[0].toPorts[0].ports[0].endPort',
    'endPort 70 is below port 80',
  ],
  [
    'a protocol without ports',
    cnp('ingress: [{toPorts: [{ports: [{port: "0", protocol: ~VRRP}]}]}]'),
    'spec.ingress[0].toPorts[0].ports[0].protocol',
    'protocol "VRRP" is not supported yet',
  ],
  [
    'ICMP as a port protocol',
    cnp('ingress: [{toPorts: [{ports: [{port: "8", protocol: ~ICMP}]}]}]'),
    'spec.ingress[0].toPorts[0].ports[0].protocol',
    'protocol "ICMP" is not matched by ports',
    'write an icmps section instead of toPorts',
  ],
  [
    'an ICMP name of the other family',
    cnp('ingress: [{icmps: [{fields: [{family: IPv4, type: ~PacketTooBig}]}]}]'),
    'spec.ingress[0].icmps[0].fields[0].type',
    '"PacketTooBig" is not an ICMP type of IPv4',
  ],
  [
    'an ICMP type out of range',
    cnp('ingress: [{icmps: [{fields: [{type: ~256}]}]}]'),
    'spec.ingress[0].icmps[0].fields[0].type',
    '256 is out of range',
  ],
  [
    'a wrong family',
    cnp('ingress: [{icmps: [{fields: [{family: ~IPv5, type: 8}]}]}]'),
    'spec.ingress[0].icmps[0].fields[0].family',
    '"IPv5" is not one of IPv4, IPv6',
  ],
  [
    'a bad CIDR',
    cnp('ingress: [{fromCIDR: [~10.0.0.0/40]}]'),
    'spec.ingress[0].fromCIDR[0]',
    '"10.0.0.0/40" is not a CIDR: prefix length 40 is more than 32',
  ],
  [
    'CIDRSet with an address',
    cnp('ingress: [{fromCIDRSet: [{cidr: ~10.0.0.1}]}]'),
    'spec.ingress[0].fromCIDRSet[0].cidr',
    '"10.0.0.1" is not a CIDR: the prefix length is missing',
  ],
  [
    'CIDRSet with nothing',
    cnp('ingress: [{fromCIDRSet: [~{}]}]'),
    'spec.ingress[0].fromCIDRSet[0].cidr',
    'cidr is required',
  ],
  [
    'CIDRSet exception outside',
    cnp('ingress: [{fromCIDRSet: [{cidr: 10.0.0.0/8, except: [~0.0.0.0/0]}]}]'),
    'spec.ingress[0].fromCIDRSet[0].except[0]',
    'except 0.0.0.0/0 does not lie inside 10.0.0.0/8',
  ],
  [
    'a CIDR group',
    cnp('ingress: [{fromCIDRSet: [{~cidrGroupRef: g}]}]'),
    'spec.ingress[0].fromCIDRSet[0].cidrGroupRef',
    'cidrGroupRef is not supported yet',
  ],
  [
    'a CIDR group selector',
    cnp('ingress: [{fromCIDRSet: [{~cidrGroupSelector: {}}]}]'),
    'spec.ingress[0].fromCIDRSet[0].cidrGroupSelector',
    'cidrGroupSelector is not supported yet',
  ],
  [
    'a group that turned up empty',
    cnp('egress: [{~toGroups: []}]'),
    'spec.egress[0].toGroups',
    'toGroups is not supported yet',
  ],
  ...['fromNodes', 'fromGroups', 'authentication'].map(
    (name): Case => [
      name,
      cnp(`ingress: [{~${name}: [{}]}]`),
      `spec.ingress[0].${name}`,
      `${name} is not supported yet`,
    ],
  ),
  ...['toNodes', 'toGroups', 'toServices', 'toFQDNs', 'authentication'].map(
    (name): Case => [name, cnp(`egress: [{~${name}: [{}]}]`), `spec.egress[0].${name}`, `${name} is not supported yet`],
  ),
  ...['rules', 'listener', 'serverNames', 'terminatingTLS', 'originatingTLS'].map(
    (name): Case => [
      name,
      cnp(`egress: [{toPorts: [{ports: [{port: "80"}], ~${name}: {}}]}]`),
      `spec.egress[0].toPorts[0].${name}`,
      `${name} is not supported yet`,
    ],
  ),
  [
    'rules in a deny',
    cnp('egressDeny: [{toPorts: [{ports: [{port: "80"}], ~rules: {}}]}]'),
    'spec.egressDeny[0].toPorts[0].rules',
    'rules is not allowed in a deny rule',
  ],
  [
    'toFQDNs in a deny',
    cnp('egressDeny: [{~toFQDNs: []}]'),
    'spec.egressDeny[0].toFQDNs',
    'toFQDNs is not allowed in a deny rule',
  ],
  [
    'toServices in a deny',
    cnp('egressDeny: [{~toServices: []}]'),
    'spec.egressDeny[0].toServices',
    'toServices is not allowed in a deny rule',
  ],
  [
    'a removed field',
    cnp('ingress: [{~fromRequires: [{}]}]'),
    'spec.ingress[0].fromRequires',
    'fromRequires is not supported (removed in Cilium 1.19)',
  ],
  ['log', cnp('~log: {value: x}\ningress: [{}]'), 'spec.log', 'log is not supported yet'],
  [
    'enableDefaultDeny as text',
    cnp('enableDefaultDeny: {ingress: ~"false"}\ningress: [{}]'),
    'spec.enableDefaultDeny.ingress',
    'must be true or false, not text',
  ],
  [
    'a description that is a list',
    cnp('description: ~[]\ningress: [{}]'),
    'spec.description',
    'must be text, not a list',
  ],
  [
    'a typo in a rule',
    cnp('ingress: [{~fromEndpoint: [{}]}]'),
    'spec.ingress[0].fromEndpoint',
    'unknown field "fromEndpoint"',
    'did you mean "fromEndpoints"?',
  ],
  [
    'an unknown field in specs',
    'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\nspecs:\n- endpointSelector: {}\n  ingress: [{}]\n- endpointSelector: {}\n  ~ingres: [{}]\n  egress: [{}]\n',
    'specs[1].ingres',
    'unknown field "ingres"',
    'did you mean "ingress"?',
  ],
  // the text
  [
    'a key twice',
    cnp('ingress: [{}]\n~ingress: [{fromEntities: [world]}]'),
    'spec.ingress',
    'the key "ingress" is given twice',
    'remove one of them; the first stands on line 7',
  ],
  ['__proto__', cnp('ingress: [{}]\n~__proto__: {}'), 'spec.__proto__', 'the key "__proto__" is not allowed'],
  ['a key that is no text', cnp('ingress: [{}]\n~1: {}'), 'spec', 'a key is not text', 'put the key in quotes'],
  [
    'broken YAML',
    'apiVersion: [a\n~kind: b\n',
    '',
    'is not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  ['a tab', 'spec:\n~\tname: x\n', '', 'is not valid YAML: Tabs are not allowed as indentation', 'indent with spaces'],
  ['an alias without an anchor', 'a: ~*b\n', '', 'the alias *b has no finished anchor before it'],
  ['an alias to itself', 'a: &a [~*a]\n', '', 'the alias *a has no finished anchor before it'],
  ['an unknown tag', 'a: ~!!js/function "x"\n', '', 'is not valid YAML: Unresolved tag: tag:yaml.org,2002:js/function'],
];

for (const [name, marked, path, message, fix] of CASES) {
  test(`refused: ${name}`, () => {
    const at = marked.indexOf('~');
    assert.ok(at >= 0, 'the case marks a place');
    const text = marked.slice(0, at) + marked.slice(at + 1);
    const before = marked.slice(0, at).split('\n');
    const { documents, issues } = parseDocuments(text);
    const found = issues.find((issue) => issue.path === path && issue.message === message);
    assert.ok(found, `no such issue: ${path}: ${message}\nbut: ${JSON.stringify(issues, null, 1)}`);
    assert.deepEqual(documents, [], 'nothing of it may be used');
    assert.deepEqual([found.line, found.column], [before.length, (before.at(-1) ?? '').length + 1], 'line and column');
    assert.ok(found.fix, 'a fix');
    if (fix) assert.equal(found.fix, fix);
  });
}

test('the same document twice', () => {
  const text = `${cnp('ingress: [{}]')}---\n${cnp('egress: [{}]')}`;
  const { issues } = parseDocuments(text, { filename: 'a.yaml' });
  assert.equal(issues.length, 1);
  assert.equal(issues[0]?.message, 'document 2 has the same kind, namespace and name as document 1');
  assert.equal(issues[0]?.line, 9);
});

test('issues name their document', () => {
  const text = `${cnp('ingress: [{}]')}---\n${cnp('ingress: [{a: 1}]').replace('name: p', 'name: q')}---\nkind: Pod\n`;
  const { issues, documents } = parseDocuments(text, { filename: 'a.yaml' });
  assert.deepEqual(
    issues.map(({ document }) => document),
    ['CiliumNetworkPolicy/default/q', 'a.yaml document 3'],
  );
  assert.deepEqual(
    documents.map(({ key }) => key),
    ['CiliumNetworkPolicy/default/p'],
    'documents without an issue are there for whoever wants them',
  );
});

test('JSON has positions too', () => {
  const text = JSON.stringify(
    {
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumNetworkPolicy',
      metadata: { name: 'p' },
      spec: { endpointSelector: {}, ingress: [{ from: 1 }] },
    },
    null,
    2,
  );
  const { issues } = parseDocuments(text);
  assert.deepEqual(
    issues.map(({ path, line, column }) => [path, line, column]),
    [['spec.ingress[0].from', 11, 9]],
  );
});

test('no more than 100 issues are kept', () => {
  const text = cnp(`ingress: [${'{x: 1}, '.repeat(500)}]`);
  assert.equal(parseDocuments(text).issues.length, 100);
});
