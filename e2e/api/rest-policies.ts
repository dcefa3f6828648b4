// SPDX-License-Identifier: Apache-2.0
/** Operations of the policy service about network policies, for rest-table.ts. */

import { policy } from './before.ts';
import { limit, missingAt } from './mistakes.ts';
import type { RestOperation } from './rest-table.ts';

export const POLICY_REST: Readonly<Record<string, RestOperation>> = {
  'policy GET /v1/policies': { good: { path: '/v1/policies' }, bad: limit('/v1/policies'), paged: true },
  'policy POST /v1/policies': {
    good: { path: '/v1/policies', text: policy('new-rest') },
    bad: {
      path: '/v1/policies',
      text: policy('x').replace('ports', 'port'),
      code: 'INVALID_ARGUMENT',
      field: 'spec.ingress[0].port',
    },
    guarded: true,
    createOnly: true,
    once: { other: { path: '/v1/policies', text: policy('new-other') } },
  },
  'policy GET /v1/policies/{kind}/{namespace}/{name}': {
    good: { path: '/v1/policies/NetworkPolicy/shop/p1' },
    bad: missingAt('/v1/policies/NetworkPolicy/shop/none'),
    tagged: true,
  },
  'policy DELETE /v1/policies/{kind}/{namespace}/{name}': {
    good: { path: '/v1/policies/NetworkPolicy/shop/gone-rest' },
    bad: missingAt('/v1/policies/NetworkPolicy/shop/none'),
    guarded: true,
  },
  'policy GET /v1/policies/{kind}/{namespace}/{name}/versions': {
    good: { path: '/v1/policies/NetworkPolicy/shop/p1/versions' },
    bad: missingAt('/v1/policies/NetworkPolicy/shop/none/versions'),
  },
  'policy GET /v1/policies/{kind}/{namespace}/{name}/diff': {
    good: { path: '/v1/policies/NetworkPolicy/shop/p1/diff?from=1' },
    bad: missingAt('/v1/policies/NetworkPolicy/shop/p1/diff?from=999'),
  },
  'policy POST /v1/policies/{kind}/{namespace}/{name}/restore': {
    good: { path: '/v1/policies/NetworkPolicy/shop/p1/restore?policy_revision=1' },
    bad: missingAt('/v1/policies/NetworkPolicy/shop/p1/restore?policy_revision=999'),
  },
  'policy POST /v1/policies/{kind}/{namespace}/{name}/promote': {
    good: { path: '/v1/policies/NetworkPolicy/shop/audited-rest/promote' },
    bad: missingAt('/v1/policies/NetworkPolicy/shop/none/promote'),
  },
  'policy POST /v1/policies/diff': {
    good: { path: '/v1/policies/diff', text: policy('p1', 81) },
    bad: { path: '/v1/policies/diff', text: 'kind: [', code: 'INVALID_ARGUMENT', field: 'documents' },
  },
  'policy GET /v1/policies/lint': {
    good: { path: '/v1/policies/lint?notes=true' },
    bad: { path: '/v1/policies/lint?notes=perhaps', code: 'INVALID_ARGUMENT', field: 'notes' },
  },
  'policy POST /v1/policies/lint': {
    good: { path: '/v1/policies/lint', text: policy('p1', 81) },
    bad: { path: '/v1/policies/lint', text: 'kind: [', code: 'INVALID_ARGUMENT', field: 'documents' },
  },
  'policy POST /v1/policies/simulate': {
    good: { path: '/v1/policies/simulate?since=1h', text: policy('p1', 81) },
    bad: { path: '/v1/policies/simulate?since=soon', text: policy('p1'), code: 'INVALID_ARGUMENT', field: 'since' },
  },
  'policy GET /v1/policies/suggest': {
    good: { path: '/v1/policies/suggest?namespace=shop' },
    bad: { path: '/v1/policies/suggest?since=1h', code: 'INVALID_ARGUMENT', field: 'selector' },
  },
  'policy GET /v1/rules': {
    good: { path: '/v1/rules' },
    bad: { path: '/v1/rules?ids=1,x', code: 'INVALID_ARGUMENT', field: 'ids' },
    paged: true,
  },
  'policy GET /v1/rules/hits': {
    good: { path: '/v1/rules/hits' },
    bad: { path: '/v1/rules/hits?unused_for=long', code: 'INVALID_ARGUMENT', field: 'unused_for' },
    paged: true,
  },
  'policy GET /v1/rules/{id}': { good: { path: '/v1/rules/1' }, bad: missingAt('/v1/rules/2000000000') },
  'policy GET /v1/revisions/{revision}': {
    good: { path: '/v1/revisions/1' },
    bad: { path: '/v1/revisions/1?wait_s=100', code: 'INVALID_ARGUMENT', field: 'wait_s' },
  },
  'policy GET /v1/revisions/{revision}/trace': {
    good: { path: '/v1/revisions/1/trace' },
    bad: missingAt('/v1/revisions/2000000000/trace'),
  },
  'policy GET /v1/changes': {
    good: { path: '/v1/changes?kind=policy' },
    bad: { path: '/v1/changes?kind=colour', code: 'INVALID_ARGUMENT', field: 'kind[0]' },
    stream: { from: '1.0', event: 'change' },
  },
};
