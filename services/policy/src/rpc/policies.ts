// SPDX-License-Identifier: Apache-2.0
/** weir.policy.v1.PolicyService */
import { PolicyService } from '@weir/proto/weir/policy/v1/policy_pb.js';
import { implement, onceOfCall, type Registered } from '@weir/rpc';
import { type ApplyAnswer, applyPolicies, diffPolicies } from '../operations/apply.ts';
import type { Operations } from '../operations/context.ts';
import { lintDocuments } from '../operations/lint.ts';
import { deletePolicy, getPolicy, pageOfPolicies } from '../operations/policies.ts';
import { diffVersions, pageOfVersions, promotePolicy, restorePolicy } from '../operations/versions.ts';
import { attributionOf } from '../routes/attribution.ts';
import { ACTIONS, findingMessage, policyMessage, versionMessage, warningMessage } from './messages.ts';
import { givenOf, matchOf, pageOfRequest } from './requests.ts';

const applyMessage = ({ results, revision }: ApplyAnswer) => ({
  results: results.map((result) => ({
    ...result,
    action: ACTIONS[result.action],
    warnings: result.warnings.map(warningMessage),
  })),
  revision,
});

export const policyService = (operations: Operations): Registered =>
  implement(PolicyService, {
    applyPolicies: async ({ documents, dryRun, ifRevision, ifAbsent, sources, author, reason, established }, call) => {
      const applied = await applyPolicies(operations, documents, {
        dryRun,
        ifMatch: matchOf(ifRevision),
        ifNoneMatch: ifAbsent ? '*' : undefined,
        sources: sources.map(({ file, firstLine }) => ({ file, firstLine })),
        once: onceOfCall(call),
        ...attributionOf({ author, reason, established }),
      });
      return applyMessage(applied);
    },
    diffPolicies: async ({ documents }) => ({
      results: (await diffPolicies(operations, documents)).map((result) => ({
        ...result,
        action: ACTIONS[result.action],
      })),
    }),
    lintPolicies: async ({ documents, sources, notes }) => {
      const findings = await lintDocuments(operations, {
        documents: documents === '' ? undefined : documents,
        sources: sources.map(({ file, firstLine }) => ({ file, firstLine })),
        notes,
      });
      return { findings: findings.map(findingMessage) };
    },
    getPolicy: async ({ key, policyRevision }) => ({
      policy: policyMessage(await getPolicy(operations, key, policyRevision === 0n ? undefined : policyRevision)),
    }),
    listPolicies: async ({ kind, namespace, ...request }) => {
      const filter = givenOf({ kind, namespace });
      const { items, next_cursor: next } = await pageOfPolicies(operations, filter, pageOfRequest(request));
      return { policies: items.map(policyMessage), nextCursor: next ?? '' };
    },
    deletePolicy: async ({ key, ifRevision, ...by }) => ({
      revision: await deletePolicy(operations, key, matchOf(ifRevision), attributionOf(by)),
    }),
    listPolicyVersions: async ({ key, ...request }) => {
      const { items, next_cursor: next } = await pageOfVersions(operations, key, pageOfRequest(request));
      return { versions: items.map(versionMessage), nextCursor: next ?? '' };
    },
    diffPolicyVersions: async ({ key, from, to }) => diffVersions(operations, key, from, to),
    restorePolicy: async ({ key, policyRevision, ...by }) =>
      applyMessage(await restorePolicy(operations, key, policyRevision, attributionOf(by))),
    promotePolicy: async ({ key, ...by }) => applyMessage(await promotePolicy(operations, key, attributionOf(by))),
  });
