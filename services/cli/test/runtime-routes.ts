// SPDX-License-Identifier: Apache-2.0
/** Answers of the policy service about runtime policies, for golden files. */
import { listing, type Routes } from './harness.ts';

const SHADOW = {
  key: 'TracingPolicy/-/shadow',
  kind: 'TracingPolicy',
  namespace: '-',
  name: 'shadow',
  document: {
    apiVersion: 'cilium.io/v1alpha1',
    kind: 'TracingPolicy',
    metadata: { name: 'shadow' },
    spec: { loader: true },
  },
  revision: 7,
  policy_revision: 2,
  mode: 'enforce',
  hooks: ['spec.kprobes[0]'],
  created_at: '2026-11-22T18:00:00.000Z',
  updated_at: '2026-11-22T19:00:00.000Z',
};
const PATH = '/v1/runtime-policies';

export const RUNTIME_ROUTES: Routes = {
  [`GET ${PATH}`]: listing([SHADOW]),
  [`GET ${PATH}/TracingPolicy/-/shadow`]: { json: SHADOW },
  [`GET ${PATH}/TracingPolicy/-/shadow/hosts`]: {
    json: {
      hosts: [
        { host: 'h1', state: 'not-enforced', reason: 'this agent attaches no hooks\u001b[31m' },
        { host: 'h2', state: 'not-selected', reason: null },
      ],
    },
  },
  [`POST ${PATH}`]: {
    json: { results: [{ key: SHADOW.key, action: 'created', revision: 7, warnings: [] }], revision: 7 },
  },
  [`POST ${PATH}/diff`]: {
    json: { results: [{ key: SHADOW.key, action: 'configured', diff: '--- a\n+++ b\n@@ -1 +1 @@\n-old\n+new\n' }] },
  },
  [`DELETE ${PATH}/TracingPolicy/-/shadow`]: { json: { key: SHADOW.key, revision: 8 } },
};
