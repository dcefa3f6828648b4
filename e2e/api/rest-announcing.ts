// SPDX-License-Identifier: Apache-2.0
/** Of the table of REST operations (rest-table.ts): what tells the network of addresses, by L2 announcements and by BGP. */
import { limit, missingAt } from './mistakes.ts';
import type { RestOperation } from './rest-table.ts';

export const BGP = {
  local_asn: 65_001,
  hosts: { match_labels: { rack: 'none' } },
  peers: [{ name: 'tor', address: '198.51.100.2', asn: 65_000 }],
};

export const ANNOUNCING: Readonly<Record<string, RestOperation>> = {
  'inventory GET /v1/l2-announcements': {
    good: { path: '/v1/l2-announcements' },
    bad: limit('/v1/l2-announcements'),
    paged: true,
  },
  'inventory GET /v1/l2-announcements/{name}': {
    good: { path: '/v1/l2-announcements/n1' },
    bad: missingAt('/v1/l2-announcements/none'),
    tagged: true,
  },
  'inventory PUT /v1/l2-announcements/{name}': {
    good: { path: '/v1/l2-announcements/n1', body: { external_ips: true, interfaces: ['^eth[0-9]+'] } },
    bad: {
      path: '/v1/l2-announcements/n1',
      body: { external_ips: true, interfaces: ['eth['] },
      code: 'INVALID_ARGUMENT',
      field: 'interfaces[0]',
    },
    guarded: true,
    createOnly: true,
  },
  'inventory DELETE /v1/l2-announcements/{name}': {
    good: { path: '/v1/l2-announcements/gone-rest', status: 204 },
    bad: missingAt('/v1/l2-announcements/none'),
    guarded: true,
  },
  'inventory GET /v1/bgp-instances': {
    good: { path: '/v1/bgp-instances' },
    bad: limit('/v1/bgp-instances'),
    paged: true,
  },
  'inventory GET /v1/bgp-instances/{name}': {
    good: { path: '/v1/bgp-instances/n1' },
    bad: missingAt('/v1/bgp-instances/none'),
    tagged: true,
  },
  'inventory PUT /v1/bgp-instances/{name}': {
    good: { path: '/v1/bgp-instances/n1', body: { ...BGP, local_asn: 65_002 } },
    bad: {
      path: '/v1/bgp-instances/n1',
      body: { ...BGP, peers: [{ name: 'tor', address: '198.51.100.2' }] },
      code: 'INVALID_ARGUMENT',
      field: 'peers[0].asn',
    },
    guarded: true,
    createOnly: true,
  },
  'inventory DELETE /v1/bgp-instances/{name}': {
    good: { path: '/v1/bgp-instances/gone-rest', status: 204 },
    bad: missingAt('/v1/bgp-instances/none'),
    guarded: true,
  },
  'inventory GET /v1/bgp-peers': { good: { path: '/v1/bgp-peers?host=a1' }, bad: limit('/v1/bgp-peers') },
  'inventory GET /v1/host-firewalls': {
    good: { path: '/v1/host-firewalls?host=a1' },
    bad: limit('/v1/host-firewalls'),
  },
  'inventory GET /v1/host-firewalls/{id}': {
    good: { path: '/v1/host-firewalls/a1' },
    bad: missingAt('/v1/host-firewalls/none'),
  },
  'inventory GET /v1/host-firewall-events': {
    good: { path: '/v1/host-firewall-events' },
    bad: limit('/v1/host-firewall-events'),
  },
  'inventory GET /v1/service-stats': {
    good: { path: '/v1/service-stats?by_host=true' },
    bad: missingAt('/v1/service-stats?service=shop.none'),
  },
  'inventory GET /v1/bgp-routes': { good: { path: '/v1/bgp-routes' }, bad: limit('/v1/bgp-routes') },
  'inventory GET /v1/l2-leases': { good: { path: '/v1/l2-leases' }, bad: limit('/v1/l2-leases') },
  'inventory GET /v1/l2-leases/{id}': {
    good: { path: '/v1/l2-leases/shop.n1' },
    bad: missingAt('/v1/l2-leases/shop.none'),
  },
};
