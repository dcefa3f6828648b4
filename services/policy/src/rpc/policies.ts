// SPDX-License-Identifier: Apache-2.0
/** weir.policy.v1.PolicyService */
import { PolicyService } from '@weir/proto/weir/policy/v1/policy_pb.js';
import { implement, onceOfCall, type Registered } from '@weir/rpc';
import { applyPolicies, diffPolicies } from '../operations/apply.ts';
import type { Operations } from '../operations/context.ts';
import { deletePolicy, getPolicy, pageOfPolicies } from '../operations/policies.ts';
import { ACTIONS, policyMessage, warningMessage } from './messages.ts';
import { givenOf, matchOf, pageOfRequest } from './requests.ts';

export const policyService = (operations: Operations): Registered =>
  implement(PolicyService, {
    applyPolicies: async ({ documents, dryRun, ifRevision, ifAbsent, sources }, call) => {
      const { results, revision } = await applyPolicies(operations, documents, {
        dryRun,
        ifMatch: matchOf(ifRevision),
        ifNoneMatch: ifAbsent ? '*' : undefined,
        sources: sources.map(({ file, firstLine }) => ({ file, firstLine })),
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
    diffPolicies: async ({ documents }) => ({
      results: (await diffPolicies(operations, documents)).map((result) => ({
        ...result,
        action: ACTIONS[result.action],
      })),
    }),
    getPolicy: async ({ key, policyRevision }) => ({
      policy: policyMessage(await getPolicy(operations, key, policyRevision === 0n ? undefined : policyRevision)),
    }),
    listPolicies: async ({ kind, namespace, ...request }) => {
      const filter = givenOf({ kind, namespace });
      const { items, next_cursor: next } = await pageOfPolicies(operations, filter, pageOfRequest(request));
      return { policies: items.map(policyMessage), nextCursor: next ?? '' };
    },
    deletePolicy: async ({ key, ifRevision }) => ({
      revision: await deletePolicy(operations, key, matchOf(ifRevision)),
    }),
  });
