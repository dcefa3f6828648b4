// SPDX-License-Identifier: Apache-2.0
/** Tables of schema `policy` as kysely sees them; migrations/ is their definition, schema.sql the whole. */
import type { Action, PolicyJson } from '@weir/policy-engine';
import type { RuntimePolicyJson } from '@weir/runtime-engine';
import type { ColumnType, Generated, JSONColumnType } from 'kysely';
import type { DocumentFailure, RuntimeReport } from '../domain/realisation.ts';

export interface Tables {
  policies: {
    key: string;
    kind: string;
    namespace: string;
    name: string;
    policy_revision: bigint;
    created_at: Generated<Date>;
  };
  policy_revisions: {
    key: string;
    policy_revision: bigint;
    revision: bigint;
    document: ColumnType<PolicyJson | null, string | null, never>;
    made_at: Generated<Date>;
    author: string | null;
    reason: string | null;
  };
  runtime_policies: {
    key: string;
    kind: string;
    namespace: string;
    name: string;
    policy_revision: bigint;
    created_at: Generated<Date>;
  };
  runtime_policy_revisions: {
    key: string;
    policy_revision: bigint;
    revision: bigint;
    document: ColumnType<RuntimePolicyJson | null, string | null, never>;
    made_at: Generated<Date>;
  };
  rules: {
    id: number;
    key: string;
    policy_revision: bigint;
    path: string;
    direction: 'ingress' | 'egress';
    action: Action;
    description: string | null;
    line_number: number | null;
    column_number: number | null;
    file: string | null;
  };
  host_acks: {
    host: string;
    boot: bigint;
    realised: bigint;
    tried: bigint | null;
    errors: JSONColumnType<readonly DocumentFailure[]>;
    acked_at: Date;
    runtime: JSONColumnType<readonly RuntimeReport[]>;
  };
  revision_stages: {
    revision: bigint;
    trace_id: string | null;
    received_us: bigint;
    committed_us: bigint | null;
    published_us: bigint | null;
  };
  host_stages: {
    revision: bigint;
    host: string;
    received_us: bigint;
    started_us: bigint;
    compiled_us: bigint;
    written_us: bigint;
    acknowledged_us: bigint;
  };
}
