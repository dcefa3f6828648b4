// SPDX-License-Identifier: Apache-2.0
/** The gRPC door: the same operations as REST. */
import { weirError } from '@weir/errors';
import { RevisionService, RuleService } from '@weir/proto/weir/policy/v1/policy_pb.js';
import { changeService, implement, type Registered } from '@weir/rpc';
import { CHANGE_KINDS } from '../http.ts';
import type { Operations } from '../operations/context.ts';
import { WAIT_MAX_S, waitForRevision } from '../operations/revisions.ts';
import { pageOfRuleHits } from '../operations/rule-hits.ts';
import { getRule, getRules, pageOfRules, RULE_IDS_MAX } from '../operations/rules.ts';
import { traceOf } from '../operations/stages.ts';
import { hostMessage, ruleHitsMessage, ruleMessage, traceMessage } from './messages.ts';
import { policyService } from './policies.ts';
import { givenOf, pageOfRequest } from './requests.ts';
import { runtimePolicyService } from './runtime-policies.ts';
import { simulationService } from './simulations.ts';

const INT4_MAX = 2 ** 31 - 1;

const ruleService = (operations: Operations): Registered =>
  implement(RuleService, {
    getRule: async ({ id }) => ({ rule: ruleMessage(await getRule(operations, Math.min(id, INT4_MAX))) }),
    batchGetRules: async ({ ids }) => {
      if (ids.length > RULE_IDS_MAX) {
        throw weirError('INVALID_ARGUMENT', `ids names more than ${RULE_IDS_MAX} rules`, {
          field: 'ids',
          value: ids.length,
          fix: 'ask in several calls',
        });
      }
      const known = ids.filter((id) => id > 0 && id <= INT4_MAX);
      return { rules: (await getRules(operations, known)).map(ruleMessage) };
    },
    listRules: async ({ policyKey: policy, kind, namespace, ...request }) => {
      const filter = givenOf({ policy, kind, namespace });
      const { items, next_cursor: next } = await pageOfRules(operations, filter, pageOfRequest(request));
      return { rules: items.map(ruleMessage), nextCursor: next ?? '' };
    },
    listRuleHits: async ({ policyKey: policy, kind, namespace, unusedFor, ...request }) => {
      const filter = givenOf({ policy, kind, namespace, unusedFor });
      const { items, next_cursor: next } = await pageOfRuleHits(operations, filter, pageOfRequest(request));
      return { hits: items.map(ruleHitsMessage), nextCursor: next ?? '' };
    },
  });

const revisionService = (operations: Operations): Registered =>
  implement(RevisionService, {
    getRevision: async ({ revision, waitS }, { signal }) => {
      if (waitS > WAIT_MAX_S) {
        throw weirError('INVALID_ARGUMENT', `wait_s must be ${WAIT_MAX_S} at most`, {
          field: 'wait_s',
          value: waitS,
          fix: 'ask again after the answer',
        });
      }
      const hosts = await waitForRevision(operations, revision, waitS, signal);
      return { revision, hosts: hosts.map(hostMessage) };
    },
    getRevisionTrace: async ({ revision }) => ({ trace: traceMessage(await traceOf(operations, revision)) }),
  });

export const policyRpc = (operations: Operations): Registered[] => [
  policyService(operations),
  ruleService(operations),
  revisionService(operations),
  simulationService(operations),
  runtimePolicyService(operations),
  changeService(operations.changes, CHANGE_KINDS),
];
