// SPDX-License-Identifier: Apache-2.0
/** Methods of the policy service about network policies, for grpc-table.ts. */

import { policy } from './before.ts';
import type { GrpcOperation } from './grpc-table.ts';
import { BAD_LIMIT, invalid, missing, OTHER, pages } from './mistakes.ts';

const KEY = 'NetworkPolicy/shop/';

export const POLICY_GRPC: Readonly<Record<string, GrpcOperation>> = {
  'PolicyService.ApplyPolicies': {
    good: { documents: policy('new-grpc') },
    bad: { documents: policy('x').replace('ports', 'port') },
    ...invalid,
    field: 'spec.ingress[0].port',
    stale: [
      { documents: policy('p1', 82), ifRevision: OTHER },
      { documents: policy('p1', 82), ifAbsent: true },
    ],
    once: { other: { documents: policy('new-other') } },
  },
  'PolicyService.DiffPolicies': {
    good: { documents: policy('p1', 81) },
    bad: { documents: 'kind: [' },
    ...invalid,
    field: 'documents',
  },
  'PolicyService.LintPolicies': {
    good: { documents: policy('p1', 81) },
    bad: { documents: 'kind: [' },
    ...invalid,
    field: 'documents',
  },
  'PolicyService.GetPolicy': { good: { key: `${KEY}p1` }, bad: { key: `${KEY}none` }, ...missing },
  'PolicyService.ListPolicies': { good: {}, ...BAD_LIMIT, paged: pages('policies') },
  'PolicyService.DeletePolicy': {
    good: { key: `${KEY}gone-grpc` },
    bad: { key: `${KEY}none` },
    ...missing,
    stale: [{ key: `${KEY}gone-grpc`, ifRevision: OTHER }],
  },
  'PolicyService.ListPolicyVersions': { good: { key: `${KEY}p1` }, bad: { key: `${KEY}none` }, ...missing },
  'PolicyService.DiffPolicyVersions': {
    good: { key: `${KEY}p1`, from: 1n },
    bad: { key: `${KEY}p1`, from: 999n },
    ...missing,
  },
  'PolicyService.RestorePolicy': {
    good: { key: `${KEY}p1`, policyRevision: 1n },
    bad: { key: `${KEY}p1`, policyRevision: 999n },
    ...missing,
  },
  'PolicyService.PromotePolicy': { good: { key: `${KEY}audited-grpc` }, bad: { key: `${KEY}none` }, ...missing },
  'RuleService.GetRule': { good: { id: 1 }, bad: { id: 2_000_000_000 }, ...missing },
  'RuleService.BatchGetRules': {
    good: { ids: [1, 2] },
    bad: { ids: Array.from({ length: 1_001 }, (_, i) => i + 1) },
    ...invalid,
    field: 'ids',
  },
  'RuleService.ListRules': { good: {}, ...BAD_LIMIT, paged: pages('rules') },
  'RevisionService.GetRevision': {
    good: { revision: 1n },
    bad: { revision: 1n, waitS: 100 },
    ...invalid,
    field: 'wait_s',
  },
  'RevisionService.GetRevisionTrace': { good: { revision: 1n }, bad: { revision: 2_000_000_000n }, ...missing },
};
