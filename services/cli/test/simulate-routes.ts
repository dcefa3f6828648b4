// SPDX-License-Identifier: Apache-2.0
/** What the policy service answers to a simulation: line by line, once whole and once broken off. */
import type { ServerResponse } from 'node:http';
import type { Asked, Routes } from './harness.ts';

const EVIL = 'a\u001b[31mred';
const total = (flows: number) => ({ flows, packets: flows * 3, bytes: flows * 180 });
const judged = (verdict: string, reason: string, rule: object | null = null) => ({ verdict, reason, rule });
const DB = { identity: 257, labels: ['k8s:app=db'], workloads: ['shop/db-1', 'shop/db-2', 'shop/db-3'] };

const CHANGES = [
  {
    ...{ event: 'change', class: 'newly-denied', direction: 'ingress', protocol: 'TCP', port: 5432, ...total(420) },
    subject: { ...DB, workload_count: 12 },
    peer: { identity: 256, labels: [`k8s:note=${EVIL}`], workloads: [], workload_count: 0 },
    last_seen: '2026-11-22T19:59:00.000Z',
    before: judged('allow', 'rule', { policy: 'NetworkPolicy/shop/db', path: 'spec.ingress[0]', file: null, line: 9 }),
    after: judged('deny', 'default-deny', {
      ...{ policy: 'NetworkPolicy/shop/web', path: 'spec.defaultDeny.ingress', file: 'shop/web.yaml', line: 5 },
    }),
    disagrees: 0,
  },
  {
    ...{ event: 'change', class: 'newly-allowed', direction: 'egress', protocol: 'ICMP', port: 0, ...total(3) },
    icmp_type: 8,
    subject: { ...DB, workloads: ['shop/db-1'], workload_count: 1 },
    peer: {
      ...{ identity: 2, labels: ['reserved:world'], workloads: [], workload_count: 0 },
      ...{ prefix: '192.0.2.0/24', addresses: ['192.0.2.1', '192.0.2.7'] },
    },
    last_seen: '2026-11-22T18:00:00.000Z',
    before: judged('deny', 'lockdown'),
    after: judged('allow', 'default-allow'),
    disagrees: 1,
  },
];

const SUMMARY = {
  ...{ event: 'summary', since: '2026-11-21T20:00:00.000Z', until: '2026-11-22T20:00:00.000Z', stored_since: null },
  ...{ newly_denied: total(420), newly_allowed: total(3), unchanged: total(9_577), disagrees: total(1) },
  not_judged: { unknown_labels: total(7), no_workload: total(0), related: total(2) },
  ...{ lost: 30, omitted: 4, documents: [{ key: 'NetworkPolicy/shop/web', action: 'configured', mode: 'staged' }] },
};

const PROBLEM = {
  status: 503,
  code: 'UNAVAILABLE',
  title: 'Unavailable',
  detail: 'analytics is away',
  fix: 'try again',
};

const DOCUMENT = {
  ...{ event: 'document', key: 'CiliumNetworkPolicy/shop/db-suggested', labels: { app: 'db' } },
  text: 'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata:\n  name: db-suggested\n  namespace: shop\n',
  ...{ workloads: DB.workloads, workload_count: 12, observed: total(999), covered: total(999) },
};

const SUGGESTED = {
  ...{ event: 'summary', since: SUMMARY.since, until: SUMMARY.until, stored_since: null },
  ...{ observed: total(30_000), covered: total(29_999), lost: 2 },
  left_out: { refused_then: total(1), not_judged: total(0), not_expressible: total(0), too_seldom: total(0) },
};

const send = (response: ServerResponse, lines: readonly object[]): void => {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.end(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
};

export const SIMULATE_ROUTES: Routes = {
  'GET /v1/rules/hits': {
    json: {
      items: [
        {
          rule: {
            ...{ id: 17, policy_key: 'NetworkPolicy/shop/db', path: 'spec.ingress[0]', direction: 'ingress' },
            ...{ action: 'allow', file: 'shop/db.yaml', line: 9 },
          },
          ...{ hits: 420, packets: 1_260, bytes: 75_600, first_hit_at: '2026-11-01T00:00:00.000Z' },
          ...{ last_hit_at: '2026-11-22T19:59:00.000Z', counted_since: '2026-11-01T00:00:00.000Z' },
        },
        {
          rule: {
            ...{ id: 18, policy_key: `NetworkPolicy/shop/${EVIL}`, path: 'spec.defaultDeny.ingress' },
            ...{ direction: 'ingress', action: 'deny', file: null, line: null },
          },
          ...{ hits: 0, packets: 0, bytes: 0, first_hit_at: null, last_hit_at: null },
          counted_since: '2026-11-22T18:00:00.000Z',
        },
      ],
      next_cursor: null,
    },
  },
  'GET /v1/policies/suggest': ({ url }: Asked, response) => {
    const isEmpty = url.searchParams.get('namespace') === 'none';
    const nothing = { ...SUGGESTED, observed: total(0), covered: total(0), left_out: {}, lost: 0 };
    send(response, isEmpty ? [nothing] : [{ event: 'progress', done: 1, flows: 9 }, DOCUMENT, DOCUMENT, SUGGESTED]);
  },
  'POST /v1/policies/simulate': ({ url, body }: Asked, response) => {
    if (body.includes('ingres:')) {
      const errors = [{ path: 'spec.ingres', message: 'unknown field "ingres"', line: 6, column: 3, fix: 'ingress?' }];
      response.writeHead(422, { 'content-type': 'application/problem+json' });
      response.end(JSON.stringify({ ...PROBLEM, status: 422, code: 'INVALID_ARGUMENT', errors }));
      return;
    }
    const ending = url.searchParams.has('until') ? [{ event: 'error', problem: PROBLEM }] : [SUMMARY];
    send(response, [{ event: 'progress', done: 0, flows: 0 }, ...CHANGES, ...ending]);
  },
};
