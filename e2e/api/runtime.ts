// SPDX-License-Identifier: Apache-2.0
/** Operations about runtime policies, for rest-table.ts and grpc-table.ts. */

import type { GrpcOperation } from './grpc-table.ts';
import { invalid, missing, OTHER } from './mistakes.ts';
import type { RestOperation } from './rest-table.ts';

export const runtimePolicy = (name: string, action = 'Sigkill'): string => `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: ${name} }
spec: { kprobes: [ { call: sys_mount, selectors: [ { matchActions: [ { action: ${action} } ] } ] } ] }
`;

const PATH = '/v1/runtime-policies';
const ONE = `${PATH}/{kind}/{namespace}/{name}`;
const KEY = 'TracingPolicy/-/';
const none = { path: `${PATH}/${KEY}none`, ...missing };
const WRONG = 'spec.kprobes[0].selectors[0].matchActions[0].action';

export const RUNTIME_REST: Readonly<Record<string, RestOperation>> = {
  [`policy GET ${PATH}`]: {
    good: { path: PATH },
    bad: { path: `${PATH}?limit=0`, ...invalid, field: 'limit' },
    paged: true,
  },
  [`policy POST ${PATH}`]: {
    good: { path: PATH, text: runtimePolicy('new-rest') },
    bad: { path: PATH, text: runtimePolicy('x', 'Kill'), ...invalid, field: WRONG },
    guarded: true,
    createOnly: true,
    once: { other: { path: PATH, text: runtimePolicy('new-other') } },
  },
  [`policy POST ${PATH}/diff`]: {
    good: { path: `${PATH}/diff`, text: runtimePolicy('p1', 'Post') },
    bad: { path: `${PATH}/diff`, text: 'kind: [', ...invalid, field: 'documents' },
  },
  [`policy GET ${ONE}`]: { good: { path: `${PATH}/${KEY}p1` }, bad: none, tagged: true },
  [`policy GET ${ONE}/hosts`]: {
    good: { path: `${PATH}/${KEY}p1/hosts` },
    bad: { ...none, path: `${none.path}/hosts` },
  },
  [`policy DELETE ${ONE}`]: { good: { path: `${PATH}/${KEY}gone-rest` }, bad: none, guarded: true },
};

export const RUNTIME_GRPC: Readonly<Record<string, GrpcOperation>> = {
  'RuntimePolicyService.ApplyRuntimePolicies': {
    good: { documents: runtimePolicy('new-grpc') },
    bad: { documents: runtimePolicy('x', 'Kill') },
    ...invalid,
    field: WRONG,
    stale: [
      { documents: runtimePolicy('p1', 'Post'), ifRevision: OTHER },
      { documents: runtimePolicy('p1', 'Post'), ifAbsent: true },
    ],
    once: { other: { documents: runtimePolicy('new-other') } },
  },
  'RuntimePolicyService.DiffRuntimePolicies': {
    good: { documents: runtimePolicy('p1', 'Post') },
    bad: { documents: 'kind: [' },
    ...invalid,
    field: 'documents',
  },
  'RuntimePolicyService.GetRuntimePolicy': { good: { key: `${KEY}p1` }, bad: { key: `${KEY}none` }, ...missing },
  'RuntimePolicyService.ListRuntimePolicies': {
    good: {},
    bad: { limit: 5_000 },
    ...invalid,
    field: 'limit',
    paged: { items: 'policies', size: 'limit', cursor: 'cursor', next: 'nextCursor' },
  },
  'RuntimePolicyService.ListRuntimePolicyHosts': { good: { key: `${KEY}p1` }, bad: { key: `${KEY}none` }, ...missing },
  'RuntimePolicyService.DeleteRuntimePolicy': {
    good: { key: `${KEY}gone-grpc` },
    bad: { key: `${KEY}none` },
    ...missing,
    stale: [{ key: `${KEY}gone-grpc`, ifRevision: OTHER }],
  },
};
