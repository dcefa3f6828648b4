// SPDX-License-Identifier: Apache-2.0
/** weir.policy.v1.PolicyService */
import { checked, decodeCursor, PageQuery, page } from '@weir/http';
import { PolicyService } from '@weir/proto/weir/policy/v1/policy_pb.js';
import { implement, type Registered } from '@weir/rpc';
import { Type } from 'typebox';
import { applyPolicies, diffPolicies } from '../operations/apply.ts';
import type { Operations } from '../operations/context.ts';
import { deletePolicy, getPolicy, pageOfPolicies } from '../operations/policies.ts';
import { ACTIONS, policyMessage, warningMessage } from './messages.ts';

const LIMIT = 100;

/** If-Match of a request that names the revision it was made for. */
const matchOf = (revision: bigint | undefined): string | undefined =>
  revision === undefined ? undefined : `"${revision}"`;

export const policyService = (operations: Operations): Registered =>
  implement(PolicyService, {
    applyPolicies: async ({ documents, dryRun, ifRevision }) => {
      const { results, revision } = await applyPolicies(operations, documents, {
        dryRun,
        ifMatch: matchOf(ifRevision),
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
    listPolicies: async ({ kind, namespace, limit: wanted, cursor }) => {
      const { limit = LIMIT } = checked(PageQuery, wanted === 0 ? {} : { limit: wanted });
      const after = decodeCursor(Type.String(), cursor === '' ? undefined : cursor) ?? '';
      const filter = { ...(kind === '' ? {} : { kind }), ...(namespace === '' ? {} : { namespace }) };
      const rows = await pageOfPolicies(operations, filter, after, limit + 1);
      const { items, next_cursor: next } = page(rows, limit, policyMessage, ({ key }) => key);
      return { policies: items, nextCursor: next ?? '' };
    },
    deletePolicy: async ({ key, ifRevision }) => ({
      revision: await deletePolicy(operations, key, matchOf(ifRevision)),
    }),
  });
