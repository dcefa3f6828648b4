// SPDX-License-Identifier: Apache-2.0
/** weir.policy.v1.SimulationService */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { protocolName } from '@weir/net';
import {
  Action,
  ChangeClass,
  type FlowChangeSchema,
  type FlowJudgementSchema,
  type FlowPartySchema,
  RuleAction,
  SimulationService,
  type SimulationSummarySchema,
  type SuggestSummarySchema,
} from '@weir/proto/weir/policy/v1/policy_pb.js';
import { implement, type Registered } from '@weir/rpc';
import type { Operations } from '../operations/context.ts';
import { LIMIT_DEFAULT, type SimulationEvent, simulate } from '../operations/simulate.ts';
import {
  LEFT_OUT,
  MAX_PREFIXES_DEFAULT,
  MIN_FLOWS_DEFAULT,
  type SuggestEvent,
  suggest,
} from '../operations/suggest.ts';
import { type Judged, NOT_JUDGED } from '../simulation/judges.ts';
import type { Change, Party } from '../simulation/tally.ts';
import { ACTIONS, DIRECTIONS } from './messages.ts';
import { givenOf } from './requests.ts';

const CLASSES = {
  'newly-denied': ChangeClass.NEWLY_DENIED,
  'newly-allowed': ChangeClass.NEWLY_ALLOWED,
  disagrees: ChangeClass.DISAGREES,
} as const;

const partyMessage = ({ end, prefix, addresses }: Party): MessageInitShape<typeof FlowPartySchema> => ({
  identity: end.identity,
  labels: end.labels,
  workloads: end.workloads,
  workloadCount: end.workloadCount,
  prefix,
  addresses,
});

const judgementMessage = ({ verdict, reason, rule }: Judged): MessageInitShape<typeof FlowJudgementSchema> => ({
  verdict: verdict === 'allow' ? RuleAction.ALLOW : RuleAction.DENY,
  reason,
  policyKey: rule?.policyKey ?? '',
  path: rule?.path ?? '',
  file: rule?.file ?? '',
  line: rule?.line ?? 0,
  ruleId: rule?.id ?? 0,
});

const changeMessage = (change: Change): MessageInitShape<typeof FlowChangeSchema> => ({
  class: CLASSES[change.class],
  direction: DIRECTIONS[change.direction],
  subject: partyMessage(change.subject),
  peer: partyMessage(change.peer),
  protocol: protocolName(change.protocol),
  port: change.port,
  ...(change.icmpType === undefined ? {} : { icmpType: change.icmpType }),
  flows: change.flows,
  packets: change.packets,
  bytes: change.bytes,
  lastSeen: timestampFromMs(change.lastSeenMs),
  before: judgementMessage(change.before),
  after: judgementMessage(change.after),
  disagrees: change.disagrees,
});

type Summary = Extract<SimulationEvent, { readonly event: 'summary' }>;

const summaryMessage = ({
  read: { since, until, storedSince, lost },
  tally: { totals, notJudged },
  omitted,
  documents,
}: Summary): MessageInitShape<typeof SimulationSummarySchema> => ({
  ...(since ? { since } : {}),
  ...(until ? { until } : {}),
  ...(storedSince ? { storedSince } : {}),
  newlyDenied: totals['newly-denied'],
  newlyAllowed: totals['newly-allowed'],
  unchanged: totals.unchanged,
  disagrees: totals.disagrees,
  notJudged: NOT_JUDGED.map((reason) => ({ reason, total: notJudged[reason] })),
  lost,
  omitted: BigInt(omitted),
  documents: documents.map(({ key, action, mode }) => ({
    key,
    mode,
    action: action === 'deleted' ? Action.DELETED : ACTIONS[action],
  })),
});

type SuggestSummary = Extract<SuggestEvent, { readonly event: 'summary' }>;

const suggestSummaryMessage = ({
  read: { since, until, storedSince, lost },
  observed,
  covered,
  leftOut,
}: SuggestSummary): MessageInitShape<typeof SuggestSummarySchema> => ({
  ...(since ? { since } : {}),
  ...(until ? { until } : {}),
  ...(storedSince ? { storedSince } : {}),
  observed,
  covered,
  leftOut: LEFT_OUT.map((reason) => ({ reason, total: leftOut[reason] })),
  lost,
});

export const simulationService = (operations: Operations): Registered =>
  implement(SimulationService, {
    simulate: async function* ({ documents, remove, sources, since, until, limit, staged }, { signal }) {
      const given = givenOf({ since, until });
      const request = {
        documents,
        remove,
        sources: sources.map(({ file, firstLine }) => ({ file, firstLine })),
        since: given.since,
        until: given.until,
        limit: limit === 0 ? LIMIT_DEFAULT : limit,
        staged,
      };
      for await (const event of simulate(operations, request, signal)) {
        if (event.event === 'progress') {
          yield { event: { case: 'progress' as const, value: { done: event.done, flows: event.flows } } };
        } else if (event.event === 'change') {
          yield { event: { case: 'change' as const, value: changeMessage(event.change) } };
        } else yield { event: { case: 'summary' as const, value: summaryMessage(event) } };
      }
    },
    suggest: async function* ({ minFlows, maxPrefixes, staged, ...texts }, { signal }) {
      const { selector, namespace, since, until } = texts;
      const given = givenOf({ selector, namespace, since, until });
      const request = {
        selector: given.selector,
        namespace: given.namespace,
        since: given.since,
        until: given.until,
        minFlows: minFlows === 0n ? MIN_FLOWS_DEFAULT : Number(minFlows),
        staged,
        maxPrefixes: maxPrefixes === 0 ? MAX_PREFIXES_DEFAULT : maxPrefixes,
      };
      for await (const event of suggest(operations, request, signal)) {
        if (event.event === 'progress') {
          yield { event: { case: 'progress' as const, value: { done: event.done, flows: event.flows } } };
        } else if (event.event === 'document') {
          const value = { ...event.suggestion, labels: { ...event.suggestion.labels } };
          yield { event: { case: 'document' as const, value: { ...value, workloads: [...value.workloads] } } };
        } else yield { event: { case: 'summary' as const, value: suggestSummaryMessage(event) } };
      }
    },
  });
