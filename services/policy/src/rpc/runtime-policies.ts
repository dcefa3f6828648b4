// SPDX-License-Identifier: Apache-2.0
/** weir.policy.v1.RuntimePolicyService */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  RuntimeHostState,
  RuntimeMode,
  type RuntimePolicySchema,
  RuntimePolicyService,
} from '@weir/proto/weir/policy/v1/runtime_pb.js';
import { implement, onceOfCall, type Registered } from '@weir/rpc';
import { parseRuntimePolicy } from '@weir/runtime-engine';
import type { Operations } from '../operations/context.ts';
import {
  applyRuntimePolicies,
  deleteRuntimePolicy,
  diffRuntimePolicies,
  getRuntimePolicy,
  hostsOfRuntimePolicy,
  pageOfRuntimePolicies,
} from '../operations/runtime-policies.ts';
import type { RuntimePolicyRow } from '../store/runtime-policies.ts';
import { ACTIONS, warningMessage } from './messages.ts';
import { matchOf, pageOfRequest } from './requests.ts';

const MODES = {
  enforce: RuntimeMode.ENFORCE,
  monitor: RuntimeMode.MONITOR,
  'monitor-only': RuntimeMode.MONITOR_ONLY,
} as const;
const STATES = {
  enforced: RuntimeHostState.ENFORCED,
  'partly-enforced': RuntimeHostState.PARTLY_ENFORCED,
  'not-enforced': RuntimeHostState.NOT_ENFORCED,
  pending: RuntimeHostState.PENDING,
  away: RuntimeHostState.AWAY,
  'not-selected': RuntimeHostState.NOT_SELECTED,
} as const;

const message = (row: RuntimePolicyRow): MessageInitShape<typeof RuntimePolicySchema> => {
  const { mode, hooks } = parseRuntimePolicy(row.document);
  return {
    key: row.key,
    kind: row.kind,
    namespace: row.namespace,
    name: row.name,
    document: JSON.stringify(row.document),
    revision: row.revision,
    policyRevision: row.policy_revision,
    mode: MODES[mode],
    hooks: hooks.map(({ path }) => path),
    createdAt: timestampFromDate(row.created_at),
    updatedAt: timestampFromDate(row.updated_at),
  };
};

export const runtimePolicyService = (operations: Operations): Registered =>
  implement(RuntimePolicyService, {
    applyRuntimePolicies: async ({ documents, dryRun, ifRevision, ifAbsent }, call) => {
      const { results, revision } = await applyRuntimePolicies(operations, documents, {
        dryRun,
        ifMatch: matchOf(ifRevision),
        ifNoneMatch: ifAbsent ? '*' : undefined,
        once: onceOfCall(call),
      });
      return {
        results: results.map((result) => ({
          ...result,
          action: ACTIONS[result.action],
          warnings: result.warnings.map(warningMessage),
        })),
        revision,
      };
    },
    diffRuntimePolicies: async ({ documents }) => ({
      results: (await diffRuntimePolicies(operations, documents)).map((result) => ({
        ...result,
        action: ACTIONS[result.action],
      })),
    }),
    getRuntimePolicy: async ({ key, policyRevision }) => ({
      policy: message(await getRuntimePolicy(operations, key, policyRevision === 0n ? undefined : policyRevision)),
    }),
    listRuntimePolicies: async (request) => {
      const { items, next_cursor: next } = await pageOfRuntimePolicies(operations, pageOfRequest(request));
      return { policies: items.map(message), nextCursor: next ?? '' };
    },
    deleteRuntimePolicy: async ({ key, ifRevision }) => ({
      revision: await deleteRuntimePolicy(operations, key, matchOf(ifRevision)),
    }),
    listRuntimePolicyHosts: async ({ key }) => ({
      hosts: (await hostsOfRuntimePolicy(operations, key)).map(({ host, state, reason, hooks }) => ({
        host,
        state: STATES[state],
        reason: reason ?? '',
        hooks: hooks.map(({ enforces, limits, ...hook }) => ({
          ...hook,
          enforces: [...enforces],
          limits: [...limits],
        })),
      })),
    }),
  });
