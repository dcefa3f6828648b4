// SPDX-License-Identifier: Apache-2.0
/**
 * Every REST operation, with what is sent to it and which manners it has. An operation of an openapi.json that is not
 * here fails the test, so a new one is entered with its good case, its bad one, and what else fits.
 */

import type { ErrorCode } from '@weir/errors';
import { FIRST_PROCESS, GATEWAY, service } from './before.ts';
import { limit, missingAt } from './mistakes.ts';
import { ANNOUNCING } from './rest-announcing.ts';
import { POLICY_REST } from './rest-policies.ts';
import { RUNTIME_REST } from './runtime.ts';

export interface Sent {
  readonly path: string;
  readonly body?: unknown;
  readonly text?: string;
}

export interface RestOperation {
  readonly good: Sent & { readonly status?: number };
  /** A mistake, and how it is told. */
  readonly bad: Sent & { readonly code: ErrorCode; readonly field: string };
  /** A read of one thing that can change: ETag and 304. */
  readonly tagged?: true;
  /** A change of one thing: If-Match guards it. */
  readonly guarded?: true;
  /** `If-None-Match: *` makes it create only. */
  readonly createOnly?: true;
  /** A POST that is done once for a key: another body, which the same key refuses. */
  readonly once?: { readonly other: Sent };
  readonly paged?: true;
  /** Answers without end, with events of this name; from a Last-Event-ID, where one can be known beforehand. */
  readonly stream?: { readonly event: string; readonly from?: string };
}

const workload = (name: string) => ({ name, namespace: 'shop', host: 'c1', labels: { app: name } });

export const REST: Readonly<Record<string, RestOperation>> = {
  'inventory GET /v1/hosts': { good: { path: '/v1/hosts' }, bad: limit('/v1/hosts'), paged: true },
  'inventory POST /v1/hosts': {
    good: { path: '/v1/hosts', body: { name: 'new-rest' }, status: 201 },
    bad: { path: '/v1/hosts', body: { name: 'New' }, code: 'INVALID_ARGUMENT', field: 'name' },
    once: { other: { path: '/v1/hosts', body: { name: 'new-other' } } },
  },
  'inventory GET /v1/hosts/{id}': { good: { path: '/v1/hosts/c1' }, bad: missingAt('/v1/hosts/none'), tagged: true },
  'inventory PATCH /v1/hosts/{id}': {
    good: { path: '/v1/hosts/c1', body: { labels: { rack: 'r1' } } },
    bad: { path: '/v1/hosts/c1', body: { label: {} }, code: 'INVALID_ARGUMENT', field: 'label' },
    guarded: true,
  },
  'inventory DELETE /v1/hosts/{id}': {
    good: { path: '/v1/hosts/spare-rest', status: 204 },
    bad: { path: '/v1/hosts/a1', code: 'CONFLICT', field: 'id' },
    guarded: true,
  },
  'inventory GET /v1/workloads': {
    good: { path: '/v1/workloads?namespace=shop' },
    bad: { path: '/v1/workloads?label=app', code: 'INVALID_ARGUMENT', field: 'label' },
    paged: true,
  },
  'inventory POST /v1/workloads': {
    good: { path: '/v1/workloads', body: workload('new-rest'), status: 201 },
    bad: { path: '/v1/workloads', body: { ...workload('x'), host: 'none' }, code: 'INVALID_ARGUMENT', field: 'host' },
    once: { other: { path: '/v1/workloads', body: workload('new-other') } },
  },
  'inventory POST /v1/workloads/{id}/probe': {
    good: { path: '/v1/workloads/shop.web/probe', body: { address: '198.51.100.1', port: 80 } },
    bad: {
      path: '/v1/workloads/shop.web/probe',
      body: { address: 'db.example', port: 80 },
      code: 'INVALID_ARGUMENT',
      field: 'address',
    },
  },
  'inventory GET /v1/workloads/{id}': {
    good: { path: '/v1/workloads/shop.web' },
    bad: missingAt('/v1/workloads/shop.none'),
    tagged: true,
  },
  'inventory PATCH /v1/workloads/{id}': {
    good: { path: '/v1/workloads/shop.web', body: { labels: { app: 'web', tier: 'front' } } },
    bad: { path: '/v1/workloads/shop.web', body: { ports: [{}] }, code: 'INVALID_ARGUMENT', field: 'ports[0].name' },
    guarded: true,
  },
  'inventory DELETE /v1/workloads/{id}': {
    good: { path: '/v1/workloads/shop.gone-rest', status: 204 },
    bad: missingAt('/v1/workloads/shop.none'),
    guarded: true,
  },
  'inventory GET /v1/namespaces': { good: { path: '/v1/namespaces' }, bad: limit('/v1/namespaces'), paged: true },
  'inventory GET /v1/namespaces/{name}': {
    good: { path: '/v1/namespaces/shop' },
    bad: missingAt('/v1/namespaces/none'),
    tagged: true,
  },
  'inventory PUT /v1/namespaces/{name}': {
    good: { path: '/v1/namespaces/shop', body: { labels: { team: 'blue' } } },
    bad: { path: '/v1/namespaces/shop', body: {}, code: 'INVALID_ARGUMENT', field: 'labels' },
    guarded: true,
    createOnly: true,
  },
  'inventory DELETE /v1/namespaces/{name}': {
    good: { path: '/v1/namespaces/idle-rest', status: 204 },
    bad: { path: '/v1/namespaces/shop', code: 'CONFLICT', field: 'name' },
    guarded: true,
  },
  'inventory GET /v1/identities': { good: { path: '/v1/identities' }, bad: limit('/v1/identities'), paged: true },
  'inventory GET /v1/identities/{identity}': {
    good: { path: '/v1/identities/1' },
    bad: missingAt('/v1/identities/99'),
  },
  'inventory GET /v1/network': {
    good: { path: '/v1/network' },
    bad: { path: '/v1/network?mtu=1', code: 'INVALID_ARGUMENT', field: 'mtu' },
    tagged: true,
  },
  'inventory PUT /v1/network': {
    good: { path: '/v1/network', body: { mtu: 1400 } },
    bad: { path: '/v1/network', body: { mtu: 1279 }, code: 'INVALID_ARGUMENT', field: 'mtu' },
    guarded: true,
  },
  'inventory GET /v1/changes': {
    good: { path: '/v1/changes?kind=host' },
    bad: { path: '/v1/changes?kind=colour', code: 'INVALID_ARGUMENT', field: 'kind[0]' },
    stream: { from: '1.0', event: 'change' },
  },
  'inventory GET /v1/egress-gateways': {
    good: { path: '/v1/egress-gateways' },
    bad: limit('/v1/egress-gateways'),
    paged: true,
  },
  'inventory GET /v1/egress-gateways/{name}': {
    good: { path: '/v1/egress-gateways/n1' },
    bad: missingAt('/v1/egress-gateways/none'),
    tagged: true,
  },
  'inventory PUT /v1/egress-gateways/{name}': {
    good: { path: '/v1/egress-gateways/n1', body: GATEWAY },
    bad: {
      path: '/v1/egress-gateways/n1',
      body: { ...GATEWAY, gateways: [{ hosts: {} }] },
      code: 'INVALID_ARGUMENT',
      field: 'gateways[0].egress_ip',
    },
    guarded: true,
    createOnly: true,
  },
  'inventory DELETE /v1/egress-gateways/{name}': {
    good: { path: '/v1/egress-gateways/gone-rest', status: 204 },
    bad: missingAt('/v1/egress-gateways/none'),
    guarded: true,
  },
  'inventory GET /v1/prefilters': { good: { path: '/v1/prefilters' }, bad: limit('/v1/prefilters'), paged: true },
  'inventory GET /v1/prefilters/{name}': {
    good: { path: '/v1/prefilters/n1' },
    bad: missingAt('/v1/prefilters/none'),
    tagged: true,
  },
  'inventory PUT /v1/prefilters/{name}': {
    good: { path: '/v1/prefilters/n1', body: { cidrs: ['203.0.113.0/29'] } },
    bad: {
      path: '/v1/prefilters/n1',
      body: { cidrs: ['203.0.113.1'] },
      code: 'INVALID_ARGUMENT',
      field: 'cidrs[0]',
    },
    guarded: true,
    createOnly: true,
  },
  'inventory DELETE /v1/prefilters/{name}': {
    good: { path: '/v1/prefilters/gone-rest', status: 204 },
    bad: missingAt('/v1/prefilters/none'),
    guarded: true,
  },
  ...ANNOUNCING,
  'inventory GET /v1/pools': { good: { path: '/v1/pools' }, bad: limit('/v1/pools'), paged: true },
  'inventory GET /v1/pools/{name}': { good: { path: '/v1/pools/n1' }, bad: missingAt('/v1/pools/none'), tagged: true },
  'inventory PUT /v1/pools/{name}': {
    good: { path: '/v1/pools/n1', body: { cidrs: ['10.90.0.0/16', '10.99.0.0/16'] } },
    bad: { path: '/v1/pools/n1', body: { cidrs: ['10.90.0.0/30'] }, code: 'INVALID_ARGUMENT', field: 'block_bits4' },
    guarded: true,
    createOnly: true,
  },
  'inventory DELETE /v1/pools/{name}': {
    good: { path: '/v1/pools/gone-rest', status: 204 },
    bad: { path: '/v1/pools/default', code: 'CONFLICT', field: 'name' },
    guarded: true,
  },
  'inventory GET /v1/reservations': { good: { path: '/v1/reservations' }, bad: limit('/v1/reservations'), paged: true },
  'inventory GET /v1/reservations/{address}': {
    good: { path: '/v1/reservations/10.77.99.0' },
    bad: missingAt('/v1/reservations/10.77.99.77'),
    tagged: true,
  },
  'inventory PUT /v1/reservations/{address}': {
    good: { path: '/v1/reservations/10.77.99.0', body: { workload: 'shop.other' } },
    bad: {
      path: '/v1/reservations/10.77.99.0',
      body: { workload: 'other' },
      code: 'INVALID_ARGUMENT',
      field: 'workload',
    },
    guarded: true,
    createOnly: true,
  },
  'inventory DELETE /v1/reservations/{address}': {
    good: { path: '/v1/reservations/10.77.99.1', status: 204 },
    bad: missingAt('/v1/reservations/10.77.99.77'),
    guarded: true,
  },
  'inventory GET /v1/services': { good: { path: '/v1/services' }, bad: limit('/v1/services'), paged: true },
  'inventory POST /v1/services': {
    good: { path: '/v1/services', body: { name: 'new-rest', ...service(1_010) }, status: 201 },
    bad: {
      path: '/v1/services',
      body: { name: 'x', ...service(0) },
      code: 'INVALID_ARGUMENT',
      field: 'frontends[0].port',
    },
    once: { other: { path: '/v1/services', body: { name: 'new-other', ...service(1_011) } } },
  },
  'inventory GET /v1/services/{id}': {
    good: { path: '/v1/services/shop.n1' },
    bad: missingAt('/v1/services/shop.none'),
    tagged: true,
  },
  'inventory PUT /v1/services/{id}': {
    good: { path: '/v1/services/shop.n1', body: service(1_000) },
    bad: { path: '/v1/services/shop.n1', body: service(1_001), code: 'CONFLICT', field: 'frontends[0]' },
    guarded: true,
    createOnly: true,
  },
  'inventory DELETE /v1/services/{id}': {
    good: { path: '/v1/services/shop.gone-rest', status: 204 },
    bad: missingAt('/v1/services/shop.none'),
    guarded: true,
  },
  'inventory PATCH /v1/services/{id}/backends/{number}': {
    good: { path: '/v1/services/shop.n1/backends/1', body: { weight: 50 } },
    bad: {
      path: '/v1/services/shop.n1/backends/1',
      body: { weight: 70_000 },
      code: 'INVALID_ARGUMENT',
      field: 'weight',
    },
    guarded: true,
  },
  'inventory GET /v1/lb-pools': { good: { path: '/v1/lb-pools' }, bad: limit('/v1/lb-pools'), paged: true },
  'inventory GET /v1/lb-pools/{name}': {
    good: { path: '/v1/lb-pools/n1' },
    bad: missingAt('/v1/lb-pools/none'),
    tagged: true,
  },
  'inventory PUT /v1/lb-pools/{name}': {
    good: { path: '/v1/lb-pools/n1', body: { blocks: [{ cidr: '198.51.100.0/28' }] } },
    bad: {
      path: '/v1/lb-pools/n1',
      body: { blocks: [{ cidr: '198.51.100.64/28' }] },
      code: 'CONFLICT',
      field: 'blocks[0]',
    },
    guarded: true,
    createOnly: true,
  },
  'inventory DELETE /v1/lb-pools/{name}': {
    good: { path: '/v1/lb-pools/gone-rest', status: 204 },
    bad: missingAt('/v1/lb-pools/none'),
    guarded: true,
  },
  'inventory GET /v1/health': {
    good: { path: '/v1/health' },
    bad: { path: '/v1/health?status=down', code: 'INVALID_ARGUMENT', field: 'status' },
  },
  'inventory GET /v1/health/hosts': { good: { path: '/v1/health/hosts' }, bad: limit('/v1/health/hosts') },
  ...RUNTIME_REST,
  ...POLICY_REST,
  'analytics GET /v1/flows': {
    good: { path: '/v1/flows?last=1h' },
    bad: { path: '/v1/flows?protocol=FOO', code: 'INVALID_ARGUMENT', field: 'protocol' },
    paged: true,
  },
  'analytics GET /v1/flows/stream': {
    good: { path: '/v1/flows/stream?last=3' },
    bad: { path: '/v1/flows/stream?port=99999', code: 'INVALID_ARGUMENT', field: 'port' },
    stream: { event: 'flow' },
  },
  'analytics GET /v1/processes/events': {
    good: { path: '/v1/processes/events?host=a1' },
    bad: { path: '/v1/processes/events?kind=RUN', code: 'INVALID_ARGUMENT', field: 'kind' },
    paged: true,
  },
  'analytics GET /v1/processes/events/stream': {
    good: { path: '/v1/processes/events/stream?last=3' },
    bad: { path: '/v1/processes/events/stream?uid=root', code: 'INVALID_ARGUMENT', field: 'uid' },
    stream: { event: 'process' },
  },
  'analytics GET /v1/processes/tree': {
    good: { path: `/v1/processes/tree?exec_id=${encodeURIComponent(FIRST_PROCESS)}` },
    bad: { path: '/v1/processes/tree?exec_id=none', code: 'INVALID_ARGUMENT', field: 'exec_id' },
  },
  'analytics GET /v1/service-map': {
    good: { path: '/v1/service-map?since=1h' },
    bad: { path: '/v1/service-map?since=tomorrow', code: 'INVALID_ARGUMENT', field: 'since' },
  },
  'analytics GET /v1/accounting': {
    good: { path: '/v1/accounting' },
    bad: { path: '/v1/accounting?hosts=h1', code: 'INVALID_ARGUMENT', field: 'hosts' },
  },
  'analytics GET /v1/watermarks': {
    good: { path: '/v1/watermarks' },
    bad: { path: '/v1/watermarks?boots=some', code: 'INVALID_ARGUMENT', field: 'boots' },
    paged: true,
  },
};
