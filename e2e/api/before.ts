// SPDX-License-Identifier: Apache-2.0
/** What stands before the first operation of the tables: three or more of each, and what will be deleted. */
import { BGP } from './rest-announcing.ts';

export const policy = (name: string, port = 80, mode = 'enforce'): string => `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: ${name}, namespace: shop, annotations: { weir.io/mode: ${mode} } }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress: [ { from: [ { podSelector: { matchLabels: { app: ${name} } } } ], ports: [ { port: ${port} } ] } ]
`;
export const HOSTS = ['a1', 'b1', 'c1'] as const;
/** Exec id of what a simulated host runs first. */
export const FIRST_PROCESS = Buffer.from('a1:1:1').toString('base64');
export const SPARE_HOSTS = ['spare-rest', 'spare-grpc'] as const;
export const NAMESPACES = ['shop', 'idle-rest', 'idle-grpc'] as const;
export const WORKLOADS = ['web', 'db', 'gone-rest', 'gone-grpc'] as const;
/** Three of each, the last but one to be deleted by REST, the last by gRPC. */
export const NAMED = ['n1', 'gone-rest', 'gone-grpc'] as const;
export const GATEWAY = {
  workloads: [{}],
  destination_cidrs: ['0.0.0.0/0'],
  gateways: [{ hosts: {}, interface: 'eth1' }],
};
/** All with one backend, whose number is 1. Namespaces do not share an address: ports from 1,010 on are of `default`. */
export const service = (port: number) => ({
  frontends: [{ address: port < 1_010 ? '203.0.113.200' : '203.0.113.201', port }],
  backends: [{ address: '198.51.100.250', port: 80 }],
});
/** What is put under a path, for each name of NAMED. */
export const OBJECTS: readonly (readonly [path: (name: string, i: number) => string, body: (i: number) => object])[] = [
  [(name) => `/v1/egress-gateways/${name}`, () => GATEWAY],
  [(name) => `/v1/prefilters/${name}`, () => ({ cidrs: ['203.0.113.0/28'] })],
  [(name) => `/v1/pools/${name}`, (i) => ({ cidrs: [`10.9${i}.0.0/16`] })],
  [(name) => `/v1/l2-announcements/${name}`, () => ({ load_balancer_ips: true })],
  [(name) => `/v1/bgp-instances/${name}`, () => BGP],
  [(_name, i) => `/v1/reservations/10.77.99.${i}`, () => ({ workload: 'shop.nobody' })],
  [(name) => `/v1/services/shop.${name}`, (i) => service(1_000 + i)],
  [(name) => `/v1/lb-pools/${name}`, (i) => ({ blocks: [{ cidr: `198.51.100.${64 * i}/28` }] })],
];
export const POLICIES = ['p1', 'p2', 'p3', 'gone-rest', 'gone-grpc'] as const;
/** Audited, to be promoted by each door. */
export const AUDITED = ['audited-rest', 'audited-grpc'] as const;
