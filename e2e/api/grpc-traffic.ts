// SPDX-License-Identifier: Apache-2.0
/** Methods about recorded traffic, for grpc-table.ts. */

import { FIRST_PROCESS, policy } from './before.ts';
import type { GrpcOperation } from './grpc-table.ts';
import { invalid } from './mistakes.ts';

export const TRAFFIC: Readonly<Record<string, GrpcOperation>> = {
  'SimulationService.Simulate': {
    good: { documents: policy('p1', 81), since: '1h' },
    bad: { remove: ['NetworkPolicy/shop/none'] },
    ...invalid,
    field: 'remove',
    stream: true,
  },
  'SimulationService.Suggest': {
    good: { namespace: 'shop', since: '1h' },
    bad: { selector: 'a=b=c in' },
    ...invalid,
    field: 'selector',
    stream: true,
  },
  'RuleService.ListRuleHits': {
    good: {},
    bad: { unusedFor: 'long' },
    ...invalid,
    field: 'unused_for',
    paged: { items: 'hits', size: 'limit', cursor: 'cursor', next: 'nextCursor' },
  },
  'RuleHitService.BatchGetRuleHits': {
    good: { ids: [1, 2] },
    bad: { ids: Array.from({ length: 1_001 }, (_, i) => i + 1) },
    ...invalid,
    field: 'ids',
  },
  'FlowService.ListFlows': {
    good: {},
    bad: { filter: { protocols: ['FOO'] } },
    ...invalid,
    field: 'protocol',
    paged: { items: 'flows', size: 'pageSize', cursor: 'pageToken', next: 'nextPageToken' },
  },
  'FlowService.StreamFlows': {
    good: { last: 3 },
    bad: { filter: { to: { ports: [99_999] } } },
    ...invalid,
    field: 'to_port',
    stream: true,
  },
  'FlowService.StreamFlowGroups': {
    good: {},
    bad: { since: { seconds: 10n }, until: { seconds: 10n } },
    ...invalid,
    field: 'until',
    stream: true,
  },
  'ProcessService.ListProcessEvents': {
    good: { filter: { hosts: ['a1'] } },
    bad: { filter: { execIds: ['none'] } },
    ...invalid,
    field: 'exec_id',
    paged: { items: 'events', size: 'pageSize', cursor: 'pageToken', next: 'nextPageToken' },
  },
  'ProcessService.StreamProcessEvents': {
    good: { last: 3 },
    bad: { filter: { workloads: ['a b'] } },
    ...invalid,
    field: 'workload',
    stream: true,
  },
  'ProcessService.GetProcessTree': {
    good: { execId: FIRST_PROCESS },
    bad: { execId: 'none' },
    ...invalid,
    field: 'exec_id',
  },
  'AccountingService.ListAccounts': {
    good: { hosts: ['a1'] },
    bad: { hosts: Array.from({ length: 1_001 }, (_, i) => `h${i}`) },
    ...invalid,
    field: 'hosts',
  },
};
