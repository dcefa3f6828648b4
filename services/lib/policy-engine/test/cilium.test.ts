// SPDX-License-Identifier: Apache-2.0
/** POL-01 to POL-11: Cilium's documents, each meaning as a table of verdicts. */
import { test } from 'node:test';
import { checkTable, createFleet, type FleetSpec } from './fleet.ts';

const FLEET: FleetSpec = {
  namespaces: { y: { team: 'blue' } },
  pods: {
    web: { ns: 'x', labels: { app: 'web' }, ip: '10.80.1.1', ports: { http: 'TCP/80', dns: 'UDP/53' } },
    cli: { ns: 'x', labels: { app: 'cli' }, ip: '10.80.1.2' },
    bad: { ns: 'x', labels: { app: 'bad' }, ip: '10.80.1.3' },
    far: { ns: 'y', labels: { app: 'cli' }, ip: '10.80.2.1', ports: { http: 'TCP/8080' } },
    // A label that tries to look like the host's.
    fake: { ns: 'y', labels: { host: '', 'reserved.host': 'x' }, ip: '10.80.2.2' },
  },
  others: {
    ext: '192.0.2.10',
    ext2: '192.0.2.77',
    out: '198.51.100.1',
    ext6: '2001:db8::10',
    host: 1,
    node: 6,
    health: 4,
    apiserver: 7,
    ingress: 8,
    unmanaged: 3,
    world: 2,
  },
};

const indent = (text: string): string => text.replaceAll('\n', '\n  ');
const cnp = (spec: string, name = 'p'): string =>
  `apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: ${name}, namespace: x}\nspec:\n  ${indent(spec)}\n`;
const ccnp = (spec: string): string =>
  `apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {name: c}\nspec:\n  ${indent(spec)}\n`;
const WEB = 'endpointSelector: {matchLabels: {app: web}}';

const CASES: readonly [string, string, string][] = [
  [
    'POL-01 a namespaced policy selects in its namespace only',
    cnp('endpointSelector: {}\ningress: [{fromEndpoints: []}]'),
    `cli -> web TCP/80: no
     web -> far TCP/80: yes`,
  ],
  [
    'POL-01 a cluster-wide policy selects everywhere',
    ccnp('endpointSelector: {}\ningress: [{fromEndpoints: []}]'),
    `cli -> web TCP/80: no
     web -> far TCP/80: no`,
  ],
  [
    'POL-01 sources of labels: k8s, any, and another',
    cnp(
      `${WEB}\ningress: [{fromEndpoints: [{matchLabels: {"k8s:app": cli}}], toPorts: [{ports: [{port: "1"}]}]}, {fromEndpoints: [{matchLabels: {"any:app": cli}}], toPorts: [{ports: [{port: "2"}]}]}, {fromEndpoints: [{matchLabels: {"container:app": cli}}], toPorts: [{ports: [{port: "3"}]}]}]`,
    ),
    `cli -> web TCP/1: yes
     cli -> web TCP/2: yes
     cli -> web TCP/3: no`,
  ],
  [
    'POL-02 {} allows any peer on any port',
    cnp(`${WEB}\ningress: [{}]`),
    `far -> web TCP/1: yes
     ext -> web ICMP/8: yes`,
  ],
  [
    'POL-02 a deny section beats every allow',
    cnp(
      `${WEB}\ningress: [{}]\ningressDeny: [{fromEndpoints: [{matchLabels: {app: bad}}]}, {toPorts: [{ports: [{port: "22", protocol: TCP}]}]}]`,
    ),
    `cli -> web TCP/80: yes
     bad -> web TCP/80: no
     cli -> web TCP/22: no
     cli -> web UDP/22: yes`,
  ],
  [
    'POL-02 a deny section alone makes the direction default-deny',
    cnp(`${WEB}\ningressDeny: [{fromEndpoints: [{matchLabels: {app: bad}}]}]`),
    `cli -> web TCP/80: no
     web -> cli TCP/80: yes`,
  ],
  [
    'POL-03 enableDefaultDeny: false keeps the rest open',
    cnp(`${WEB}\nenableDefaultDeny: {ingress: false}\ningressDeny: [{fromEndpoints: [{matchLabels: {app: bad}}]}]`),
    `cli -> web TCP/80: yes
     bad -> web TCP/80: no`,
  ],
  [
    'POL-03 one policy with default deny is enough',
    `${cnp(`${WEB}\nenableDefaultDeny: {ingress: false}\ningress: [{fromEndpoints: [{matchLabels: {app: bad}}]}]`)}---\n${cnp(`${WEB}\ningress: [{fromEndpoints: [{matchLabels: {app: cli}}]}]`, 'q')}`,
    `cli -> web TCP/80: yes
     bad -> web TCP/80: yes
     far -> web TCP/80: no`,
  ],
  [
    'POL-03 enableDefaultDeny needs a section of its direction',
    cnp(`${WEB}\nenableDefaultDeny: {ingress: true}\negress: [{}]`),
    'cli -> web TCP/80: yes',
  ],
  [
    'POL-05 no peers with ports is any peer, an empty list nobody',
    cnp(
      `${WEB}\ningress: [{toPorts: [{ports: [{port: "80"}]}]}, {fromEndpoints: [], toPorts: [{ports: [{port: "81"}]}]}, {fromCIDR: [], toPorts: [{ports: [{port: "82"}]}]}]`,
    ),
    `ext -> web TCP/80: yes
     far -> web UDP/80: yes
     cli -> web TCP/81: no
     ext -> web TCP/82: no`,
  ],
  [
    'POL-05 fromEndpoints stays in the namespace, unless a namespace is named',
    cnp(
      `${WEB}\ningress: [{fromEndpoints: [{}], toPorts: [{ports: [{port: "1"}]}]}, {fromEndpoints: [{matchLabels: {app: cli, "k8s:io.kubernetes.pod.namespace": y}}], toPorts: [{ports: [{port: "2"}]}]}, {fromEndpoints: [{matchLabels: {"io.cilium.k8s.namespace.labels.team": blue}}], toPorts: [{ports: [{port: "3"}]}]}, {fromEndpoints: [{matchExpressions: [{key: io.kubernetes.pod.namespace, operator: Exists}]}], toPorts: [{ports: [{port: "4"}]}]}]`,
    ),
    `cli -> web TCP/1: yes
     far -> web TCP/1: no
     ext -> web TCP/1: no
     far -> web TCP/2: yes
     cli -> web TCP/2: no
     far -> web TCP/3: yes
     cli -> web TCP/3: no
     far -> web TCP/4: yes
     cli -> web TCP/4: yes`,
  ],
  [
    'POL-05 an empty selector in a cluster-wide policy is every endpoint, and nobody else',
    ccnp(`${WEB}\ningress: [{fromEndpoints: [{}]}]`),
    `cli -> web TCP/1: yes
     far -> web TCP/1: yes
     ext -> web TCP/1: no
     node -> web TCP/1: no`,
  ],
  [
    'POL-05 selectors on reserved labels are taken as they are',
    cnp(
      `${WEB}\ningress: [{fromEndpoints: [{matchLabels: {"reserved:remote-node": ""}}], toPorts: [{ports: [{port: "1"}]}]}, {fromEndpoints: [{matchLabels: {"reserved:world": ""}}], toPorts: [{ports: [{port: "2"}]}]}, {fromCIDR: [192.0.2.0/24], toPorts: [{ports: [{port: "3"}]}]}]`,
    ),
    `node -> web TCP/1: yes
     apiserver -> web TCP/1: yes
     cli -> web TCP/1: no
     ext -> web TCP/2: yes
     cli -> web TCP/2: no`,
  ],
  [
    'POL-06 toEndpoints, toEntities, toCIDR',
    cnp(
      `endpointSelector: {matchLabels: {app: cli}}\negress: [{toEndpoints: [{matchLabels: {app: web}}]}, {toEntities: [host]}, {toCIDR: [192.0.2.10]}]`,
    ),
    `cli -> web TCP/1: yes
     cli -> bad TCP/1: no
     cli -> host TCP/1: yes
     cli -> node TCP/1: no
     cli -> ext TCP/1: yes
     cli -> ext2 TCP/1: no
     web -> cli TCP/1: yes`,
  ],
  [
    'POL-07 all and none',
    cnp(
      `${WEB}\ningress: [{fromEntities: [all], toPorts: [{ports: [{port: "1"}]}]}, {fromEntities: [none], toPorts: [{ports: [{port: "2"}]}]}]`,
    ),
    `ext -> web TCP/1: yes
     node -> web TCP/1: yes
     cli -> web TCP/1: yes
     cli -> web TCP/2: no`,
  ],
  [
    'POL-07 world, with addresses that other rules name too',
    cnp(
      `${WEB}\ningress: [{fromEntities: [world], toPorts: [{ports: [{port: "1"}]}]}, {fromEntities: [world-ipv4], toPorts: [{ports: [{port: "2"}]}]}, {fromEntities: [world-ipv6], toPorts: [{ports: [{port: "3"}]}]}, {fromCIDR: [192.0.2.0/24, "2001:db8::/32"], toPorts: [{ports: [{port: "4"}]}]}]`,
    ),
    `ext -> web TCP/1: yes
     out -> web TCP/1: yes
     ext6 -> web TCP/1: yes
     world -> web TCP/1: yes
     cli -> web TCP/1: no
     node -> web TCP/1: no
     ext -> web TCP/2: yes
     out -> web TCP/2: yes
     ext6 -> web TCP/2: no
     ext -> web TCP/3: no
     ext6 -> web TCP/3: yes`,
  ],
  [
    'POL-07 cluster is all endpoints and reserved peers but the world',
    cnp(`${WEB}\ningress: [{fromEntities: [cluster]}]`),
    `cli -> web TCP/1: yes
     far -> web TCP/1: yes
     node -> web TCP/1: yes
     health -> web TCP/1: yes
     apiserver -> web TCP/1: yes
     unmanaged -> web TCP/1: yes
     ingress -> web TCP/1: yes
     ext -> web TCP/1: no
     world -> web TCP/1: no`,
  ],
  [
    'POL-07 single entities; a label of a workload makes no host of it',
    cnp(`${WEB}\negress: [{toEntities: [host, kube-apiserver, health, ingress, unmanaged, init]}]`),
    `web -> host TCP/1: yes
     web -> apiserver TCP/1: yes
     web -> health TCP/1: yes
     web -> ingress TCP/1: yes
     web -> unmanaged TCP/1: yes
     web -> node TCP/1: no
     web -> fake TCP/1: no
     web -> ext TCP/1: no`,
  ],
  [
    'POL-08 CIDR rules do not match managed endpoints; exceptions are left out',
    cnp(
      `${WEB}\ningress: [{fromCIDR: [10.80.0.0/16]}, {fromCIDRSet: [{cidr: 192.0.2.0/24, except: [192.0.2.64/26]}]}]`,
    ),
    `cli -> web TCP/1: no
     ext -> web TCP/1: yes
     ext2 -> web TCP/1: no`,
  ],
  [
    'POL-08 overlapping prefixes: each address is judged by all rules that hold it',
    cnp(
      `${WEB}\ningress: [{fromCIDR: [192.0.0.0/8], toPorts: [{ports: [{port: "1"}]}]}, {fromCIDR: [192.0.2.0/24], toPorts: [{ports: [{port: "2"}]}]}, {fromCIDR: [192.0.2.10/32], toPorts: [{ports: [{port: "3"}]}]}]`,
    ),
    `ext -> web TCP/1: yes
     ext -> web TCP/2: yes
     ext -> web TCP/3: yes
     ext2 -> web TCP/1: yes
     ext2 -> web TCP/2: yes
     ext2 -> web TCP/3: no
     out -> web TCP/1: no`,
  ],
  [
    'POL-08 0.0.0.0/0 and ::/0 together are the world',
    cnp(`${WEB}\ningress: [{fromCIDR: [0.0.0.0/0, "::/0"]}]`),
    `ext -> web TCP/1: yes
     ext6 -> web TCP/1: yes
     world -> web TCP/1: yes
     cli -> web TCP/1: no
     node -> web TCP/1: no`,
  ],
  [
    'POL-08 an exception of an allow is no denial: another rule may allow it',
    cnp(`${WEB}\ningress: [{fromCIDRSet: [{cidr: 0.0.0.0/0, except: [192.0.2.0/24]}]}, {fromCIDR: [192.0.2.10/32]}]`),
    `out -> web TCP/1: yes
     ext -> web TCP/1: yes
     ext2 -> web TCP/1: no`,
  ],
  [
    'POL-10 ports: any protocol, ranges, port 0, named ports',
    cnp(
      `${WEB}\ningress: [{toPorts: [{ports: [{port: "80"}, {port: "90", protocol: ANY}, {port: "100", endPort: 110, protocol: TCP}, {port: "0", protocol: SCTP}, {port: dns, protocol: UDP}, {port: HTTP, protocol: ANY}]}]}]`,
    ),
    `cli -> web TCP/80: yes
     cli -> web UDP/80: yes
     cli -> web SCTP/80: yes
     cli -> web UDP/90: yes
     cli -> web TCP/99: no
     cli -> web TCP/100: yes
     cli -> web TCP/110: yes
     cli -> web TCP/111: no
     cli -> web UDP/105: no
     cli -> web SCTP/9: yes
     cli -> web UDP/53: yes
     cli -> web TCP/53: no
     cli -> web ICMP/8: no`,
  ],
  [
    'POL-10 toPorts without ports matches no traffic; an empty toPorts restricts nothing',
    cnp(
      `${WEB}\ningress: [{fromEndpoints: [{matchLabels: {app: cli}}], toPorts: [{ports: []}]}, {fromEndpoints: [{matchLabels: {app: bad}}], toPorts: []}]`,
    ),
    `cli -> web TCP/80: no
     bad -> web TCP/80: yes`,
  ],
  [
    "POL-10 a named port of egress is the destination's",
    cnp(
      'endpointSelector: {matchLabels: {app: cli}}\negress: [{toEndpoints: [{matchLabels: {io.kubernetes.pod.namespace: y}}, {}], toPorts: [{ports: [{port: http, protocol: TCP}]}]}]',
    ),
    `cli -> web TCP/80: yes
     cli -> web TCP/8080: no
     cli -> far TCP/8080: yes
     cli -> far TCP/80: no`,
  ],
  [
    'POL-11 ICMP by name, number and family',
    cnp(
      `${WEB}\ningress: [{icmps: [{fields: [{type: EchoRequest}, {family: IPv6, type: 128}, {family: IPv4, type: "3"}]}]}]`,
    ),
    `ext -> web ICMP/8: yes
     ext -> web ICMP/3: yes
     ext -> web ICMP/0: no
     ext6 -> web ICMPv6/128: yes
     ext6 -> web ICMPv6/129: no
     ext -> web TCP/80: no`,
  ],
  [
    'POL-11 a port rule does not let ICMP in, a rule without ports does',
    cnp(
      `${WEB}\ningress: [{fromEndpoints: [{matchLabels: {app: cli}}], toPorts: [{ports: [{port: "0"}]}]}, {fromEndpoints: [{matchLabels: {app: bad}}]}]`,
    ),
    `cli -> web TCP/80: yes
     cli -> web ICMP/8: no
     bad -> web ICMP/8: yes`,
  ],
  [
    'EVAL-01 a broad deny beats a narrow allow, and a narrow deny a broad allow',
    cnp(
      `${WEB}\ningress: [{fromEndpoints: [{matchLabels: {app: cli}}], toPorts: [{ports: [{port: "80", protocol: TCP}]}]}, {fromEndpoints: [{matchLabels: {app: bad}}]}]\ningressDeny: [{toPorts: [{ports: [{port: "64", endPort: 127, protocol: TCP}]}]}]`,
    ),
    `cli -> web TCP/80: no
     bad -> web TCP/80: no
     bad -> web TCP/128: yes
     bad -> web UDP/80: yes`,
  ],
  [
    'EVAL-01 a denied identity stays denied where everybody is allowed on one port',
    cnp(
      `${WEB}\ningress: [{toPorts: [{ports: [{port: "80", protocol: TCP}]}]}]\ningressDeny: [{fromEndpoints: [{matchLabels: {app: bad}}]}]`,
    ),
    `bad -> web TCP/80: no
     cli -> web TCP/80: yes`,
  ],
  [
    'several specs',
    'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p, namespace: x}\nspecs:\n- endpointSelector: {matchLabels: {app: web}}\n  ingress: [{fromEndpoints: []}]\n- endpointSelector: {matchLabels: {app: cli}}\n  egress: [{toEntities: [world]}]\n',
    `cli -> web TCP/80: no
     bad -> web TCP/80: no
     cli -> bad TCP/80: no
     cli -> out TCP/80: yes`,
  ],
];

for (const [name, text, table] of CASES) test(name, () => checkTable(createFleet(FLEET, text), table));

test('Kubernetes and Cilium policies meet: an ipBlock allow and a CIDR deny of the outside', () => {
  const knp =
    'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: k, namespace: x}\nspec:\n  podSelector: {matchLabels: {app: web}}\n  ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]\n';
  const deny = cnp(`${WEB}\ningressDeny: [{fromCIDR: [192.0.2.0/24, 10.80.0.0/16]}]`);
  checkTable(
    createFleet(FLEET, `${knp}---\n${deny}`),
    `ext -> web TCP/1: no
     out -> web TCP/1: yes
     cli -> web TCP/1: yes`,
  );
});
