// SPDX-License-Identifier: Apache-2.0
/** What must be refused of what stands above ports, by its meaning and not only as "not supported yet". */
import { type Case, cnp } from './invalid-cases.ts';

const ports = (text: string, section = 'egress'): string => cnp(`${section}: [{toPorts: [${text}]}]`);
const AT = 'spec.egress[0].toPorts[0]';
const clusterwide = (spec: string): string =>
  cnp(spec).replace('CiliumNetworkPolicy', 'CiliumClusterwideNetworkPolicy');
const hosts = (spec: string): string => clusterwide(spec).replace('endpointSelector', 'nodeSelector');

export const ABOVE_CASES: readonly Case[] = [
  [
    'dns on ingress',
    ports('{ports: [{port: "53"}], rules: {~dns: [{matchName: a.b}]}}', 'ingress'),
    'spec.ingress[0].toPorts[0].rules.dns',
    'dns rules are for egress only',
  ],
  [
    'dns without port 53',
    ports('{ports: [{port: "54"}], rules: {~dns: [{matchName: a.b}]}}'),
    `${AT}.rules.dns`,
    'dns rules need port 53',
  ],
  ['dns without ports', ports('{rules: {~dns: [{matchName: a.b}]}}'), `${AT}.rules.dns`, 'dns rules need port 53'],
  [
    'dns with a range',
    ports('{ports: [{port: "53", endPort: 60}], rules: {~dns: [{matchName: a.b}]}}'),
    `${AT}.rules.dns`,
    'dns rules cannot stand with a range of ports',
  ],
  [
    'dns naming nothing',
    ports('{ports: [{port: "53"}], rules: {dns: [~{}]}}'),
    `${AT}.rules.dns[0]`,
    'names nothing',
    'write matchName or matchPattern',
  ],
  [
    'dns naming both',
    ports('{ports: [{port: "53"}], rules: {dns: [{matchName: a.b, ~matchPattern: "*"}]}}'),
    `${AT}.rules.dns[0].matchPattern`,
    'matchPattern cannot stand beside matchName',
  ],
  [
    'a pattern as a name',
    ports('{ports: [{port: "53"}], rules: {dns: [{matchName: ~"*.a.b"}]}}'),
    `${AT}.rules.dns[0].matchName`,
    '"*.a.b" has characters that are not allowed',
  ],
  [
    'a bad pattern',
    ports('{ports: [{port: "53"}], rules: {dns: [{matchPattern: ~"a..b"}]}}'),
    `${AT}.rules.dns[0].matchPattern`,
    '"a..b" has an empty label',
  ],
  ['toFQDNs naming nothing', cnp('egress: [{toFQDNs: [~{}]}]'), 'spec.egress[0].toFQDNs[0]', 'names nothing'],
  [
    'toFQDNs with a bad name',
    cnp('egress: [{toFQDNs: [{matchName: ~"a b"}]}]'),
    'spec.egress[0].toFQDNs[0].matchName',
    '"a b" has characters that are not allowed',
  ],
  [
    'http and dns',
    ports('{ports: [{port: "53", protocol: TCP}], rules: {http: [{}], ~dns: [{matchName: a.b}]}}'),
    `${AT}.rules.dns`,
    'dns rules cannot stand beside http rules',
  ],
  [
    'http over UDP',
    ports('{ports: [{port: "80", protocol: UDP}], rules: {~http: [{}]}}'),
    `${AT}.rules.http`,
    'http rules are for TCP, not UDP',
    'write protocol: TCP for each port',
  ],
  [
    'http over any protocol',
    ports('{ports: [{port: "80"}], rules: {~http: [{}]}}'),
    `${AT}.rules.http`,
    'http rules are for TCP, not ANY',
  ],
  [
    'http with port 0',
    ports('{ports: [{port: "0", protocol: TCP}], ~rules: {http: [{}]}}'),
    `${AT}.rules`,
    'rules above ports cannot stand with port 0',
  ],
  [
    'http with a bad pattern',
    ports('{ports: [{port: "80", protocol: TCP}], rules: {http: [{path: ~"/(a"}]}}'),
    `${AT}.rules.http[0].path`,
    '"/(a" is not a regular expression',
  ],
  [
    'http with an unknown field',
    ports('{ports: [{port: "80", protocol: TCP}], rules: {http: [{~paths: /}]}}'),
    `${AT}.rules.http[0].paths`,
    'unknown field "paths"',
    'did you mean "path"?',
  ],
  [
    'an unknown header mismatch',
    ports('{ports: [{port: "80", protocol: TCP}], rules: {http: [{headerMatches: [{name: a, mismatch: ~DROP}]}]}}'),
    `${AT}.rules.http[0].headerMatches[0].mismatch`,
    '"DROP" is not one of LOG, ADD, DELETE, REPLACE',
  ],
  [
    'kafka',
    ports('{ports: [{port: "80", protocol: TCP}], rules: {~kafka: [{}]}}'),
    `${AT}.rules.kafka`,
    'unknown field "kafka"',
  ],
  [
    'an empty server name',
    ports('{ports: [{port: "443", protocol: TCP}], serverNames: [~""]}'),
    `${AT}.serverNames[0]`,
    'is empty',
  ],
  [
    'server names beside http',
    ports('{ports: [{port: "443", protocol: TCP}], rules: {http: [{}]}, ~serverNames: [a.b]}'),
    `${AT}.serverNames`,
    'serverNames beside http rules need terminatingTLS',
  ],
  [
    'a listener on ingress',
    ports('{ports: [{port: "80"}], ~listener: {name: a}}', 'ingress'),
    'spec.ingress[0].toPorts[0].listener',
    'a listener is for egress only',
  ],
  [
    'a listener beside http',
    ports('{ports: [{port: "80", protocol: TCP}], rules: {http: [{}]}, ~listener: {name: a}}'),
    `${AT}.listener`,
    'a listener cannot stand beside http rules',
  ],
  [
    'the priority of a listener',
    ports('{ports: [{port: "80"}], listener: {name: a, priority: ~101}}'),
    `${AT}.listener.priority`,
    '101 is out of range',
    'use 1 to 100',
  ],
  [
    'an unknown authentication',
    cnp('ingress: [{authentication: {mode: ~always}}]'),
    'spec.ingress[0].authentication.mode',
    '"always" is not one of disabled, required, test-always-fail',
  ],
  [
    'a port of a protocol without ports',
    ports('{ports: [{port: ~"5", protocol: VRRP}]}'),
    `${AT}.ports[0].port`,
    'protocol VRRP has no ports',
    'remove port',
  ],
  [
    'nodeSelector in a namespace',
    cnp('~nodeSelector: {}\ningress: [{}]'),
    'spec.nodeSelector',
    'nodeSelector is for cluster-wide policies only',
  ],
  [
    'both selectors',
    clusterwide('~nodeSelector: {}\ningress: [{}]'),
    'spec.nodeSelector',
    'nodeSelector cannot stand beside endpointSelector',
  ],
  [
    'http for hosts',
    hosts('ingress: [{toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {~http: [{}]}}]}]'),
    'spec.ingress[0].toPorts[0].rules.http',
    'http rules cannot stand in a policy for hosts',
  ],
];
