// SPDX-License-Identifier: Apache-2.0
/** Of the small fleet (fleet-routes.ts): what tells the network of its addresses, by L2 announcements and by BGP. */
import { listing, type Routes } from './harness.ts';

const at = (clock: string): string => `2026-11-22T${clock}Z`;

const BGP = {
  name: 'rack',
  local_asn: 65_001,
  peers: [{ name: 'tor', address: '198.51.100.2', asn: 65_000 }],
  advertisements: [{ type: 'pod-cidr' }, { type: 'service', addresses: ['load-balancer'] }],
  overrides: [],
  ...{ created_at: at('17:00:00'), revision: 26 },
};

const ANNOUNCEMENT = {
  name: 'edge',
  services: { match_labels: { tier: 'edge' } },
  hosts: { match_expressions: [{ key: 'rack', operator: 'NotIn', values: ['r9'] }] },
  interfaces: ['^eth[0-9]+'],
  ...{ external_ips: false, load_balancer_ips: true },
  ...{ lease_duration_ms: 15_000, renew_deadline_ms: 5_000, retry_period_ms: 2_000 },
  ...{ created_at: at('17:00:00'), revision: 24 },
};

export const ANNOUNCING_ROUTES: Routes = {
  'GET /v1/bgp-instances': listing([BGP]),
  'GET /v1/bgp-instances/rack': { json: BGP },
  'PUT /v1/bgp-instances/rack': { json: { ...BGP, revision: 26 } },
  'PUT /v1/bgp-instances/none': {
    status: 422,
    json: {
      ...{ status: 422, code: 'INVALID_ARGUMENT', title: 'x', detail: 'peers[0].asn 0 is no number of a system' },
      ...{ field: 'peers[0].asn', value: 0, fix: 'give 1 to 4294967295' },
    },
  },
  'DELETE /v1/bgp-instances/rack': (_asked, response) => void response.writeHead(204).end(),
  'GET /v1/bgp-peers': listing([
    {
      ...{ host: 'h1', instance: 'rack', peer: 'tor', address: '198.51.100.2', asn: 65_000, local_asn: 65_001 },
      ...{ state: 'established', since: at('17:00:00'), error: null, reported_at: at('19:59:59') },
      families: [
        { family: 'ipv4', received: 3, advertised: 12 },
        { family: 'ipv6', received: 0, advertised: 4 },
      ],
    },
    {
      ...{ host: 'h2', instance: 'rack', peer: 'tor', address: '198.51.100.2', asn: 65_000, local_asn: 65_001 },
      ...{ state: 'active', since: at('19:00:00'), error: 'Socket: No route to host', families: [] },
      reported_at: at('19:59:59'),
    },
  ]),
  'GET /v1/bgp-routes': listing([
    { host: 'h1', instance: 'rack', peer: 'tor', address: '198.51.100.2', prefix: '10.77.3.0/24' },
  ]),
  'GET /v1/service-stats': listing([
    {
      ...{
        service: 'shop.web',
        frontend: { number: 1, type: 'node-port', address: null, port: 30_080, protocol: 'TCP' },
      },
      ...{ backend: { number: 5, address: 'fd77::3', port: 8080 }, past: false, host: null, hosts: 2 },
      ...{
        connections: 120,
        packets: 4000,
        bytes: 350_000,
        flow_hits: 3,
        flow_misses: 1,
        no_backend: 0,
        denied: 0,
        open: 7,
      },
      reported_at: at('19:59:59'),
    },
    {
      ...{
        service: 'shop.web',
        frontend: { number: 2, type: 'cluster-ip', address: '10.96.0.1', port: 80, protocol: 'TCP' },
      },
      ...{ backend: null, past: false, host: 'h1', hosts: 1 },
      ...{ connections: 0, packets: 0, bytes: 0, flow_hits: 0, flow_misses: 0, no_backend: 9, denied: 2, open: 0 },
      reported_at: at('19:59:59'),
    },
  ]),
  'GET /v1/l2-announcements': listing([ANNOUNCEMENT]),
  'GET /v1/l2-announcements/edge': { json: ANNOUNCEMENT },
  'PUT /v1/l2-announcements/edge': { json: { ...ANNOUNCEMENT, revision: 24 } },
  'PUT /v1/l2-announcements/none': {
    status: 422,
    json: {
      ...{ status: 422, code: 'INVALID_ARGUMENT', title: 'x', detail: 'load_balancer_ips false: nothing' },
      ...{ field: 'load_balancer_ips', value: false, fix: 'set load_balancer_ips to true' },
    },
  },
  'DELETE /v1/l2-announcements/edge': (_asked, response) => void response.writeHead(204).end(),
  'GET /v1/l2-leases': listing([
    {
      ...{ service: 'shop.web', host: 'h1', state: 'held', announcement: 'edge', transitions: 3 },
      ...{ addresses: ['203.0.113.5', '2001:db8:5::5'], interfaces: ['eth0'] },
      ...{ since: at('17:00:00'), renewed_at: at('19:59:59') },
    },
  ]),
};
