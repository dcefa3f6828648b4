// SPDX-License-Identifier: Apache-2.0
/** What the REST API shows of runtime policies. */
import { named, nullable } from '@weir/http';
import { parseRuntimePolicy } from '@weir/runtime-engine';
import { type Static, Type } from 'typebox';
import type { RuntimePolicyRow } from '../store/runtime-policies.ts';

export const RuntimePolicySchema = named(
  'RuntimePolicy',
  Type.Object({
    key: Type.String({ description: 'kind/namespace/name; - for the namespace of a cluster-wide policy' }),
    kind: Type.String(),
    namespace: Type.String(),
    name: Type.String(),
    document: Type.Unknown({ description: 'As it was written, as JSON' }),
    revision: Type.Integer({ minimum: 0, description: 'Of the fleet configuration of this service' }),
    policy_revision: Type.Integer({ minimum: 1, description: 'Counts the versions of this document' }),
    mode: Type.Enum(['enforce', 'monitor', 'monitor-only']),
    hooks: Type.Array(Type.String({ examples: ['spec.kprobes[0]'] })),
    created_at: Type.String({ format: 'date-time' }),
    updated_at: Type.String({ format: 'date-time' }),
  }),
);

export const RuntimeHostsSchema = named(
  'RuntimePolicyHosts',
  Type.Object({
    hosts: Type.Array(
      Type.Object({
        host: Type.String(),
        state: Type.Enum(['enforced', 'partly-enforced', 'not-enforced', 'pending', 'away', 'not-selected'], {
          description:
            'partly-enforced: a hook is not attached, or an action is not taken; not-enforced: the host has the document and does not act on it; away: nothing was heard of its agent',
        }),
        reason: nullable(Type.String({ description: 'Why it is not enforced, or not all of it' })),
        hooks: Type.Array(
          Type.Object({
            path: Type.String({ examples: ['spec.kprobes[0]'] }),
            backend: Type.String({
              description: 'By what it is attached; none: it is not',
              examples: ['raw_syscalls'],
            }),
            enforces: Type.Array(Type.String({ description: 'An action that is really taken' })),
            limits: Type.Array(Type.String({ description: 'What it does not do, and why' })),
          }),
        ),
      }),
    ),
  }),
);

export const RUNTIME_SCHEMAS = [RuntimePolicySchema, RuntimeHostsSchema];

export const runtimePolicyView = (row: RuntimePolicyRow): Static<typeof RuntimePolicySchema> => {
  const { mode, hooks } = parseRuntimePolicy(row.document);
  return {
    key: row.key,
    kind: row.kind,
    namespace: row.namespace,
    name: row.name,
    document: row.document,
    revision: Number(row.revision),
    policy_revision: Number(row.policy_revision),
    mode,
    hooks: hooks.map(({ path }) => path),
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
};
