// SPDX-License-Identifier: Apache-2.0
/** What REST shows as messages of weir.policy.v1: null and absent become the empty value. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { PolicyWarning } from '@weir/policy-engine';
import {
  Action,
  Direction,
  type HostRevisionSchema,
  HostRevisionState,
  type LintFindingSchema,
  type PolicySchema,
  type PolicyVersionSchema,
  type RevisionTraceSchema,
  RuleAction,
  type RuleHitsSchema,
  type RuleSchema,
  type WarningSchema,
} from '@weir/proto/weir/policy/v1/policy_pb.js';
import type { HostRevision } from '../domain/realisation.ts';
import type { PlacedFinding } from '../operations/lint.ts';
import type { PolicyWithRules } from '../operations/policies.ts';
import type { RuleWithHits } from '../operations/rule-hits.ts';
import type { RevisionTrace } from '../operations/stages.ts';
import type { VersionRow } from '../store/policies.ts';
import type { RuleWithVersion } from '../store/rules.ts';

export const ACTIONS = {
  created: Action.CREATED,
  configured: Action.CONFIGURED,
  unchanged: Action.UNCHANGED,
} as const;

export const DIRECTIONS = { ingress: Direction.INGRESS, egress: Direction.EGRESS } as const;
const RULE_ACTIONS = { allow: RuleAction.ALLOW, deny: RuleAction.DENY, pass: RuleAction.PASS } as const;
const STATES = {
  realised: HostRevisionState.REALISED,
  pending: HostRevisionState.PENDING,
  failed: HostRevisionState.FAILED,
  away: HostRevisionState.AWAY,
} as const;

export const policyMessage = (policy: PolicyWithRules): MessageInitShape<typeof PolicySchema> => ({
  key: policy.key,
  kind: policy.kind,
  namespace: policy.namespace,
  name: policy.name,
  document: JSON.stringify(policy.document),
  revision: policy.revision,
  policyRevision: policy.policy_revision,
  rules: policy.rules.map(({ path, id, direction, action, file, line_number: line }) => ({
    path,
    id,
    direction: DIRECTIONS[direction],
    action: RULE_ACTIONS[action],
    file: file ?? '',
    line: line ?? 0,
  })),
  createdAt: timestampFromDate(policy.created_at),
  updatedAt: timestampFromDate(policy.updated_at),
});

export const warningMessage = (warning: PolicyWarning): MessageInitShape<typeof WarningSchema> => ({
  code: warning.code,
  message: warning.message,
  path: warning.path,
  fix: warning.fix ?? '',
  line: warning.line ?? 0,
  column: warning.column ?? 0,
});

export const findingMessage = (finding: PlacedFinding): MessageInitShape<typeof LintFindingSchema> => ({
  policyKey: finding.policy,
  path: finding.path,
  isWarning: finding.level === 'warning',
  code: finding.code,
  message: finding.message,
  fix: finding.fix ?? '',
  other: finding.other ?? '',
  file: finding.file ?? '',
  line: finding.line ?? 0,
  column: finding.column ?? 0,
});

export const versionMessage = (row: VersionRow): MessageInitShape<typeof PolicyVersionSchema> => ({
  policyRevision: row.policy_revision,
  revision: row.revision,
  removed: row.removed,
  madeAt: timestampFromDate(row.made_at),
  author: row.author ?? '',
  reason: row.reason ?? '',
});

export const ruleMessage = (rule: RuleWithVersion): MessageInitShape<typeof RuleSchema> => ({
  id: rule.id,
  policyKey: rule.key,
  revision: rule.revision,
  policyRevision: rule.policy_revision,
  path: rule.path,
  direction: DIRECTIONS[rule.direction],
  action: RULE_ACTIONS[rule.action],
  description: rule.description ?? '',
  line: rule.line_number ?? 0,
  column: rule.column_number ?? 0,
  file: rule.file ?? '',
  current: rule.current,
});

export const ruleHitsMessage = (rule: RuleWithHits): MessageInitShape<typeof RuleHitsSchema> => ({
  rule: ruleMessage(rule),
  hits: rule.hits,
  packets: rule.packets,
  bytes: rule.bytes,
  ...(rule.firstHit === null ? {} : { firstHit: timestampFromDate(rule.firstHit) }),
  ...(rule.lastHit === null ? {} : { lastHit: timestampFromDate(rule.lastHit) }),
  countedSince: timestampFromDate(rule.countedSince),
});

export const hostMessage = ({
  host,
  realised,
  state,
  error,
}: HostRevision): MessageInitShape<typeof HostRevisionSchema> => ({
  host,
  realised,
  state: STATES[state],
  error: error ?? '',
});

export const traceMessage = ({ revision, hosts }: RevisionTrace): MessageInitShape<typeof RevisionTraceSchema> => ({
  revision: revision.revision,
  traceId: revision.trace_id ?? '',
  receivedUs: revision.received_us,
  ...(revision.committed_us === null ? {} : { committedUs: revision.committed_us }),
  ...(revision.published_us === null ? {} : { publishedUs: revision.published_us }),
  hosts: hosts.map((host) => ({
    host: host.host,
    receivedUs: host.received_us,
    startedUs: host.started_us,
    compiledUs: host.compiled_us,
    writtenUs: host.written_us,
    acknowledgedUs: host.acknowledged_us,
  })),
});
