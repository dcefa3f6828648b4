// SPDX-License-Identifier: Apache-2.0
/**
 * What documents would change, judged on the flows that analytics has stored of a time range. Groups of flows are judged as
 * they come; who goes away ends the read in analytics' database.
 */
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { weirError } from '@weir/errors';
import { parseTimeUs } from '@weir/net';
import type { FlowGroupSummary, StreamFlowGroupsResponse } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { givingWay } from '../give-way.ts';
import { type Candidate, type CandidateRequest, createCandidate } from '../simulation/candidate.ts';
import { Judges } from '../simulation/judges.ts';
import { type Change, Tally } from '../simulation/tally.ts';
import type { Operations } from './context.ts';

export interface RangeRequest {
  readonly since: string | undefined;
  readonly until: string | undefined;
}

export interface SimulationRequest extends CandidateRequest, RangeRequest {
  readonly limit: number;
  readonly staged: boolean;
}

export const LIMIT_DEFAULT = 1_000;
export const LIMIT_MAX = 10_000;

export type SimulationEvent =
  | { readonly event: 'progress'; readonly done: number; readonly flows: bigint }
  | { readonly event: 'change'; readonly change: Change }
  | {
      readonly event: 'summary';
      readonly read: FlowGroupSummary;
      readonly tally: Tally;
      readonly omitted: number;
      readonly documents: Candidate['documents'];
    };

/** As analytics is asked. */
export const rangeOf = ({ since, until }: RangeRequest) => {
  const nowMs = Date.now();
  const at = (field: string, text: string | undefined) =>
    text === undefined ? {} : { [field]: timestampFromMs(parseTimeUs(field, text, nowMs) / 1000) };
  return { ...at('since', since), ...at('until', until) };
};

export async function* simulate(
  operations: Operations,
  request: SimulationRequest,
  signal: AbortSignal,
): AsyncGenerator<SimulationEvent> {
  if (request.limit < 1 || request.limit > LIMIT_MAX) {
    throw weirError('INVALID_ARGUMENT', `limit must be from 1 to ${LIMIT_MAX}`, {
      field: 'limit',
      value: request.limit,
      fix: `leave it out for ${LIMIT_DEFAULT}`,
    });
  }
  const range = rangeOf(request);
  const { before, after, changed, documents } = await createCandidate(operations, request);
  const judges = new Judges({
    before,
    after,
    changed,
    staged: request.staged,
    namedPorts: operations.fleet.namedPorts(),
    directory: operations.fleet.directory(),
  });
  const tally = new Tally();
  const workloadAddresses = Judges.needsWorkloadAddresses(before, after);
  const turn = givingWay();
  let last: StreamFlowGroupsResponse | undefined;
  for await (const part of operations.flowGroups({ ...range, workloadAddresses }, signal)) {
    judges.learn(part.ends);
    for (const group of part.groups) {
      tally.add(group, judges.judge(group));
      await turn();
    }
    if (part.progress) yield { event: 'progress', done: part.progress.done, flows: part.progress.flows };
    last = part;
  }
  if (signal.aborted) return;
  if (last?.summary === undefined) {
    throw weirError('UNAVAILABLE', 'analytics did not tell all flows', { fix: 'try again', retryAfterS: 1 });
  }
  const { shown, omitted } = tally.changes(request.limit);
  for (const change of shown) yield { event: 'change', change };
  yield { event: 'summary', read: last.summary, tally, omitted, documents };
}
