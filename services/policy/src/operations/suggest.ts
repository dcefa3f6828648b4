// SPDX-License-Identifier: Apache-2.0
/**
 * Documents that allow what was observed of some workloads and nothing else. What is suggested is read by the parser and judged
 * by the engine before it is told, so its coverage is measured, not assumed.
 */
import { weirError } from '@weir/errors';
import { parseLabelSelector, selectorMatches } from '@weir/net';
import { MODE_ANNOTATION, NAMESPACE_LABEL } from '@weir/policy-engine';
import type { FlowGroupSummary, StreamFlowGroupsResponse } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { admitted } from '../domain/admission.ts';
import { documentText } from '../domain/documents.ts';
import { givingWay } from '../give-way.ts';
import { Judges } from '../simulation/judges.ts';
import { createRuleset, unnumberedRules } from '../simulation/ruleset.ts';
import { addTo, type Total, zero } from '../simulation/tally.ts';
import { createDrafts, type Draft, isExpressible, type Observation } from '../suggestion/draft.ts';
import { stableLabels } from '../suggestion/labels.ts';
import type { Operations } from './context.ts';
import { type RangeRequest, rangeOf } from './simulate.ts';

export interface SuggestRequest extends RangeRequest {
  /** app=web,tier!=db; empty: all of the namespace. */
  readonly selector: string | undefined;
  readonly namespace: string | undefined;
  /** What was seen less often is left out, and counted. */
  readonly minFlows: number;
  readonly maxPrefixes: number;
  /** Told as staged; what they cover is what they allow once they are in place. */
  readonly staged: boolean;
}

export const MIN_FLOWS_DEFAULT = 1;
export const MAX_PREFIXES_DEFAULT = 20;
export const MAX_PREFIXES_MOST = 100;
/** As many as Cilium takes in one rule. */
const PORTS_MAX = 40;
/** Different observations; a gigabyte has room for ten times as many. */
const OBSERVATIONS_MAX = 200_000;

/** Why a flow is not allowed by what is suggested. */
export const LEFT_OUT = ['refused-then', 'not-judged', 'not-expressible', 'too-seldom'] as const;
export type LeftOut = (typeof LEFT_OUT)[number];

export interface Suggestion {
  readonly key: string;
  /** YAML, as `weir apply` takes it. */
  readonly text: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly workloads: readonly string[];
  readonly workloadCount: number;
  readonly observed: Total;
  readonly covered: Total;
}

export type SuggestEvent =
  | { readonly event: 'progress'; readonly done: number; readonly flows: bigint }
  | { readonly event: 'document'; readonly suggestion: Suggestion }
  | {
      readonly event: 'summary';
      readonly read: FlowGroupSummary;
      /** Of the chosen workloads: covered + every reason for leaving out. */
      readonly observed: Total;
      readonly covered: Total;
      readonly leftOut: Readonly<Record<LeftOut, Total>>;
    };

const refuse = (field: string, value: unknown, message: string, fix: string): Error =>
  weirError('INVALID_ARGUMENT', `${field} ${message}`, { field, value, fix });

const chooser = ({ selector, namespace }: SuggestRequest): ((labels: readonly string[]) => boolean) => {
  if (selector === undefined && namespace === undefined) {
    throw refuse('selector', '', 'is missing', 'choose workloads by labels (app=web), by namespace, or both');
  }
  const parsed = selector === undefined ? undefined : parseLabelSelector('selector', selector);
  const own = `k8s:${NAMESPACE_LABEL}=${namespace}`;
  return (labels) =>
    (namespace === undefined || labels.includes(own)) && (parsed === undefined || selectorMatches(parsed, labels));
};

const keyOf = ({ direction, subject, peer, address, group }: Observation): string =>
  [direction, subject.number, peer.number, address, group.protocol, group.port, group.icmpType].join();

const stagedText = ({ document }: Draft): string => {
  const { metadata, ...rest } = document as { metadata: object };
  return documentText({ ...rest, metadata: { ...metadata, annotations: { [MODE_ANNOTATION]: 'staged' } } });
};

const workloadsOf = ({ subjects }: Draft): string[] => [
  ...new Set([...subjects.values()].flatMap(({ workloads }) => workloads)),
];

/** With the draft alone, of what it was made from. */
const coverage = async (
  { parser, fleet }: Operations,
  drafts: readonly Draft[],
  observations: Iterable<Observation & Total>,
) => {
  const texts = drafts.map(({ document }) => documentText(document));
  const docs = texts.length === 0 ? [] : admitted(await parser.parse(texts.join('---\n')));
  const rules = docs.map((doc) => ({ doc, rules: unnumberedRules(doc, () => ({ file: null, line: null })) }));
  const judges = new Judges({
    before: createRuleset([]),
    after: createRuleset(rules),
    changed: docs,
    namedPorts: fleet.namedPorts(),
    directory: fleet.directory(),
  });
  const draftOf = new Map(drafts.flatMap((draft, index) => [...draft.subjects.keys()].map((end) => [end, index])));
  const sums = drafts.map(() => ({ observed: zero(), covered: zero() }));
  const all = [...observations];
  judges.learn([...new Set(all.flatMap(({ subject, peer }) => [subject, peer]))]);
  const covered = new Set<Observation>();
  const turn = givingWay();
  for (const one of all) {
    const judged = judges.judge(one.group);
    const sum = sums[draftOf.get(one.subject.number) ?? -1];
    if (sum) addTo(sum.observed, one);
    if (typeof judged === 'object' && judged.after.verdict === 'allow' && sum) {
      addTo(sum.covered, one);
      covered.add(one);
    }
    await turn();
  }
  return { texts, docs, sums, covered };
};

export async function* suggest(
  operations: Operations,
  request: SuggestRequest,
  signal: AbortSignal,
): AsyncGenerator<SuggestEvent> {
  const isChosen = chooser(request);
  const { minFlows, maxPrefixes } = request;
  if (maxPrefixes < 1 || maxPrefixes > MAX_PREFIXES_MOST) {
    throw refuse('max_prefixes', maxPrefixes, `must be from 1 to ${MAX_PREFIXES_MOST}`, 'leave it out');
  }
  const range = rangeOf(request);
  // Judged by nothing, only to know the ends and what was recorded.
  const none = createRuleset([]);
  const judges = new Judges({ before: none, after: none, changed: [], namedPorts: new Map() });
  const observed = zero();
  const covered = zero();
  const leftOut = Object.fromEntries(LEFT_OUT.map((why) => [why, zero()])) as Record<LeftOut, Total>;
  const seen = new Map<string, Observation & Total>();
  const turn = givingWay();
  let last: StreamFlowGroupsResponse | undefined;
  for await (const part of operations.flowGroups({ ...range, workloadAddresses: false }, signal)) {
    judges.learn(part.ends);
    for (const group of part.groups) {
      await turn();
      const subject = judges.subjectOf(group);
      if (subject === undefined || !isChosen(subject.labels)) continue;
      addTo(observed, group);
      const judged = judges.judge(group);
      if (typeof judged === 'string') {
        addTo(leftOut['not-judged'], group);
        continue;
      }
      if (judged.recorded === 'deny') {
        addTo(leftOut['refused-then'], group);
        continue;
      }
      const { direction, peer, address } = judged;
      const one = { direction, subject, peer, address, group };
      if (!isExpressible(one) || stableLabels(subject.labels) === undefined) {
        addTo(leftOut['not-expressible'], group);
        continue;
      }
      const known = seen.get(keyOf(one));
      if (known) addTo(known, group);
      else seen.set(keyOf(one), { ...one, ...{ flows: group.flows, packets: group.packets, bytes: group.bytes } });
      if (seen.size > OBSERVATIONS_MAX) {
        throw refuse(
          'selector',
          request.selector,
          'chooses too much to look at',
          'choose fewer workloads, or less time',
        );
      }
    }
    if (part.progress) yield { event: 'progress', done: part.progress.done, flows: part.progress.flows };
    last = part;
  }
  if (signal.aborted) return;
  if (last?.summary === undefined) {
    throw weirError('UNAVAILABLE', 'analytics did not tell all flows', { fix: 'try again', retryAfterS: 1 });
  }
  const often = [...seen.values()].filter((one) => one.flows >= minFlows || void addTo(leftOut['too-seldom'], one));
  const drafts = createDrafts(often, { prefixes: maxPrefixes, ports: PORTS_MAX });
  const { texts, docs, sums, covered: allowed } = await coverage(operations, drafts, often);
  for (const one of often) addTo(allowed.has(one) ? covered : leftOut['not-expressible'], one);
  for (const [index, draft] of drafts.entries()) {
    const workloads = workloadsOf(draft);
    const sum = sums[index] ?? { observed: zero(), covered: zero() };
    const { endpointSelector } = (
      draft.document as { spec: { endpointSelector: { matchLabels: Suggestion['labels'] } } }
    ).spec;
    yield {
      event: 'document',
      suggestion: {
        key: docs[index]?.key ?? '',
        text: request.staged ? stagedText(draft) : (texts[index] ?? ''),
        labels: endpointSelector.matchLabels,
        workloads,
        workloadCount: [...draft.subjects.values()].reduce((count, end) => count + end.workloadCount, 0),
        ...sum,
      },
    };
  }
  yield { event: 'summary', read: last.summary, observed, covered, leftOut };
}
