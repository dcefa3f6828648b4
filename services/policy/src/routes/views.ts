// SPDX-License-Identifier: Apache-2.0
/** What the REST API shows: schemas with names, and rows made into them. */
import { named, nullable, ref } from '@weir/http';
import { type Static, Type } from 'typebox';
import type { HostRevision } from '../domain/realisation.ts';
import { FILE_MAX_LENGTH, SOURCES_MAX } from '../domain/sources.ts';
import type { ApplyAnswer } from '../operations/apply.ts';
import type { PlacedFinding } from '../operations/lint.ts';
import type { PolicyWithRules } from '../operations/policies.ts';
import type { RuleWithHits } from '../operations/rule-hits.ts';
import type { RevisionTrace } from '../operations/stages.ts';
import type { VersionRow } from '../store/policies.ts';
import type { RuleWithVersion } from '../store/rules.ts';

const Revision = Type.Integer({ minimum: 0, description: 'Of the fleet configuration of this service' });
const Direction = Type.Enum(['ingress', 'egress']);
const RuleAction = Type.Enum(['allow', 'deny', 'pass']);
const RuleFile = nullable(
  Type.String({ description: 'As it was called when it was last applied; null: it came without' }),
);
const RuleLine = nullable(
  Type.Integer({ minimum: 1, description: 'In the file, else in the text, as it was last applied' }),
);

export const PolicySchema = named(
  'Policy',
  Type.Object({
    key: Type.String({ description: 'kind/namespace/name; - for the namespace of a cluster-wide policy' }),
    kind: Type.String(),
    namespace: Type.String(),
    name: Type.String(),
    document: Type.Unknown({ description: 'As it was written, as JSON' }),
    revision: Revision,
    policy_revision: Type.Integer({ minimum: 1, description: 'Counts the versions of this document' }),
    rules: Type.Array(
      Type.Object({
        path: Type.String({ examples: ['spec.ingress[0]'] }),
        id: Type.Integer({ minimum: 1 }),
        direction: Direction,
        action: RuleAction,
        file: RuleFile,
        line: RuleLine,
      }),
    ),
    created_at: Type.String({ format: 'date-time' }),
    updated_at: Type.String({ format: 'date-time' }),
  }),
);

export const policyView = (policy: PolicyWithRules): Static<typeof PolicySchema> => ({
  key: policy.key,
  kind: policy.kind,
  namespace: policy.namespace,
  name: policy.name,
  document: policy.document,
  revision: Number(policy.revision),
  policy_revision: Number(policy.policy_revision),
  rules: policy.rules.map(({ path, id, direction, action, file, line_number: line }) => ({
    path,
    id,
    direction,
    action,
    file,
    line,
  })),
  created_at: policy.created_at.toISOString(),
  updated_at: policy.updated_at.toISOString(),
});

export const WarningSchema = named(
  'Warning',
  Type.Object(
    {
      code: Type.String({ examples: ['selects-nothing'] }),
      message: Type.String(),
      path: Type.String(),
      fix: Type.Optional(Type.String()),
      line: Type.Optional(Type.Integer({ minimum: 1 })),
      column: Type.Optional(Type.Integer({ minimum: 1 })),
    },
    { description: 'Legal, but perhaps not what was meant' },
  ),
);

const ApplyAction = Type.Enum(['created', 'configured', 'unchanged']);

export const ApplyAnswerSchema = named(
  'ApplyAnswer',
  Type.Object({
    results: Type.Array(
      Type.Object({
        key: Type.String(),
        action: ApplyAction,
        revision: Revision,
        warnings: Type.Array(ref(WarningSchema)),
      }),
    ),
    revision: Type.Integer({ minimum: 0, description: 'A host that has realised it has realised all documents here' }),
  }),
);

export const applyView = ({ results, revision }: ApplyAnswer): Static<typeof ApplyAnswerSchema> => ({
  results: results.map((result) => ({
    ...result,
    revision: Number(result.revision),
    warnings: result.warnings.map(({ code, message, path, fix, line, column }) => ({
      code,
      message,
      path,
      ...(fix === undefined ? {} : { fix }),
      ...(line === undefined ? {} : { line }),
      ...(column === undefined ? {} : { column }),
    })),
  })),
  revision: Number(revision),
});

export const PlacedDocumentsSchema = named(
  'PlacedDocuments',
  Type.Object(
    {
      documents: Type.String({ minLength: 1, description: 'Policy documents, one or several, as YAML or JSON' }),
      sources: Type.Array(
        Type.Object(
          {
            file: Type.String({ minLength: 1, maxLength: FILE_MAX_LENGTH }),
            first_line: Type.Integer({ minimum: 1, description: 'Of the file, in the text' }),
          },
          { additionalProperties: false },
        ),
        { maxItems: SOURCES_MAX, description: 'Files that the text was put together from, in its order' },
      ),
    },
    { additionalProperties: false, description: 'A text that knows its files: rules then name theirs' },
  ),
);

export const DiffAnswerSchema = named(
  'DiffAnswer',
  Type.Object({
    results: Type.Array(
      Type.Object({
        key: Type.String(),
        action: ApplyAction,
        diff: Type.String({ description: 'Unified diff of the documents as YAML; empty when unchanged' }),
      }),
    ),
  }),
);

export const DeletedSchema = named('Deleted', Type.Object({ key: Type.String(), revision: Revision }));

export const RuleSchema = named(
  'Rule',
  Type.Object({
    id: Type.Integer({ minimum: 1 }),
    policy_key: Type.String(),
    revision: Revision,
    policy_revision: Type.Integer({ minimum: 1 }),
    path: Type.String(),
    action: RuleAction,
    direction: Direction,
    description: nullable(Type.String()),
    file: RuleFile,
    line: RuleLine,
    column: nullable(Type.Integer({ minimum: 1 })),
    current: Type.Boolean({ description: 'The version of the document that it belongs to is in force' }),
  }),
);

export const ruleView = (rule: RuleWithVersion): Static<typeof RuleSchema> => ({
  id: rule.id,
  policy_key: rule.key,
  revision: Number(rule.revision),
  policy_revision: Number(rule.policy_revision),
  path: rule.path,
  action: rule.action,
  direction: rule.direction,
  description: rule.description,
  file: rule.file,
  line: rule.line_number,
  column: rule.column_number,
  current: rule.current,
});

export const RuleHitsSchema = named(
  'RuleHits',
  Type.Object({
    rule: ref(RuleSchema),
    hits: Type.Integer({ minimum: 0, description: 'Decisions: connections let through, packets refused' }),
    packets: Type.Integer({ minimum: 0 }),
    bytes: Type.Integer({ minimum: 0 }),
    first_hit_at: nullable(Type.String({ format: 'date-time' })),
    last_hit_at: nullable(Type.String({ format: 'date-time' })),
    counted_since: Type.String({
      format: 'date-time',
      description: 'Of this version of the rule; nobody counted before',
    }),
  }),
);

export const ruleHitsView = (rule: RuleWithHits): Static<typeof RuleHitsSchema> => ({
  rule: ruleView(rule),
  hits: Number(rule.hits),
  packets: Number(rule.packets),
  bytes: Number(rule.bytes),
  first_hit_at: rule.firstHit?.toISOString() ?? null,
  last_hit_at: rule.lastHit?.toISOString() ?? null,
  counted_since: rule.countedSince.toISOString(),
});

export const RevisionSchema = named(
  'Revision',
  Type.Object({
    revision: Revision,
    hosts: Type.Array(
      Type.Object({
        host: Type.String(),
        realised: Type.Integer({ minimum: 0, description: 'Newest revision that stands in its kernel' }),
        state: Type.Enum(['realised', 'pending', 'failed', 'away'], {
          description: 'away: nothing is heard of its agent; it takes the newest revision when it returns',
        }),
        error: nullable(Type.String()),
      }),
    ),
  }),
);

export const revisionView = (revision: number, hosts: readonly HostRevision[]): Static<typeof RevisionSchema> => ({
  revision,
  hosts: hosts.map((host) => ({ ...host, realised: Number(host.realised) })),
});

const Us = (description: string) => Type.Integer({ minimum: 0, description });

export const RevisionTraceSchema = named(
  'RevisionTrace',
  Type.Object(
    {
      revision: Revision,
      trace_id: nullable(Type.String({ description: 'W3C trace id of the request; exported spans have the same' })),
      received_us: Us('The request was received'),
      committed_us: nullable(Us('Its transaction was committed')),
      published_us: nullable(Us('The broker had the document')),
      hosts: Type.Array(
        Type.Object({
          host: Type.String(),
          received_us: Us('The document arrived'),
          started_us: Us('Its pass began'),
          compiled_us: Us('What the maps should hold was computed'),
          written_us: Us("The kernel's maps hold it"),
          acknowledged_us: Us('The broker stored the ack, by its clock'),
        }),
      ),
    },
    {
      description:
        'Microseconds since 1970, each by the clock of its place; hosts that have not acknowledged are not there',
    },
  ),
);

export const revisionTraceView = ({ revision, hosts }: RevisionTrace): Static<typeof RevisionTraceSchema> => ({
  revision: Number(revision.revision),
  trace_id: revision.trace_id,
  received_us: Number(revision.received_us),
  committed_us: revision.committed_us === null ? null : Number(revision.committed_us),
  published_us: revision.published_us === null ? null : Number(revision.published_us),
  hosts: hosts.map((host) => ({
    host: host.host,
    received_us: Number(host.received_us),
    started_us: Number(host.started_us),
    compiled_us: Number(host.compiled_us),
    written_us: Number(host.written_us),
    acknowledged_us: Number(host.acknowledged_us),
  })),
});

export const VersionSchema = named(
  'PolicyVersion',
  Type.Object({
    policy_revision: Type.Integer({ minimum: 1, description: 'Counts the versions of this document' }),
    revision: Revision,
    removed: Type.Boolean({ description: 'This version is the removal of the document' }),
    made_at: Type.String({ format: 'date-time' }),
    author: nullable(Type.String({ description: 'As the caller said; null: nobody said' })),
    reason: nullable(Type.String()),
  }),
);

export const versionView = (row: VersionRow): Static<typeof VersionSchema> => ({
  policy_revision: Number(row.policy_revision),
  revision: Number(row.revision),
  removed: row.removed,
  made_at: row.made_at.toISOString(),
  author: row.author,
  reason: row.reason,
});

export const VersionDiffSchema = named(
  'VersionDiff',
  Type.Object({
    key: Type.String(),
    diff: Type.String({ description: 'Unified diff as YAML; empty when they are equal' }),
  }),
);

export const LintSchema = named(
  'Lint',
  Type.Object({
    findings: Type.Array(
      Type.Object({
        policy: Type.String(),
        path: Type.String({ examples: ['spec.ingress[0]'] }),
        level: Type.Enum(['warning', 'note']),
        code: Type.String({ examples: ['shadowed-rule'] }),
        message: Type.String(),
        fix: nullable(Type.String()),
        other: nullable(Type.String({ description: 'The rule that is meant, when it is of another place' })),
        file: RuleFile,
        line: RuleLine,
        column: nullable(Type.Integer({ minimum: 1 })),
      }),
    ),
  }),
);

export const lintView = (findings: readonly PlacedFinding[]): Static<typeof LintSchema> => ({
  findings: findings.map(({ policy, path, level, code, message, fix, other, file, line, column }) => ({
    ...{ policy, path, level, code, message },
    ...{ fix: fix ?? null, other: other ?? null, file, line, column },
  })),
});

export const SCHEMAS = [
  LintSchema,
  VersionSchema,
  VersionDiffSchema,
  PolicySchema,
  WarningSchema,
  ApplyAnswerSchema,
  PlacedDocumentsSchema,
  DiffAnswerSchema,
  DeletedSchema,
  RuleSchema,
  RuleHitsSchema,
  RevisionSchema,
  RevisionTraceSchema,
];
