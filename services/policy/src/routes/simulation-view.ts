// SPDX-License-Identifier: Apache-2.0
/** A simulation and a suggestion as lines of JSON; numbers of flows and bytes are exact up to 2^53. */
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { protocolName } from '@weir/net';
import type { SimulationEvent } from '../operations/simulate.ts';
import type { SuggestEvent } from '../operations/suggest.ts';
import type { Judged } from '../simulation/judges.ts';
import type { Change, Party, Total } from '../simulation/tally.ts';

const totalView = ({ flows, packets, bytes }: Total) => ({
  flows: Number(flows),
  packets: Number(packets),
  bytes: Number(bytes),
});

const partyView = ({ end, prefix, addresses }: Party) => ({
  identity: end.identity,
  labels: end.labels,
  workloads: end.workloads,
  workload_count: end.workloadCount,
  ...(prefix === '' ? {} : { prefix }),
  ...(addresses.length === 0 ? {} : { addresses }),
});

const judgedView = ({ verdict, reason, rule }: Judged) => ({
  verdict,
  reason,
  rule:
    rule === undefined
      ? null
      : {
          policy: rule.policyKey,
          path: rule.path,
          file: rule.file,
          line: rule.line,
          id: rule.id === 0 ? null : rule.id,
        },
});

const changeView = (change: Change) => ({
  event: 'change',
  class: change.class,
  direction: change.direction,
  subject: partyView(change.subject),
  peer: partyView(change.peer),
  protocol: protocolName(change.protocol),
  port: change.port,
  ...(change.icmpType === undefined ? {} : { icmp_type: change.icmpType }),
  ...totalView(change),
  last_seen: new Date(change.lastSeenMs).toISOString(),
  before: judgedView(change.before),
  after: judgedView(change.after),
  disagrees: Number(change.disagrees),
});

const timeView = (time: Parameters<typeof timestampDate>[0] | undefined): string | null =>
  time === undefined ? null : timestampDate(time).toISOString();

export const simulationView = (event: SimulationEvent): object => {
  switch (event.event) {
    case 'progress':
      return { event: 'progress', done: event.done, flows: Number(event.flows) };
    case 'change':
      return changeView(event.change);
    case 'summary': {
      const { read, tally, omitted, documents } = event;
      return {
        event: 'summary',
        since: timeView(read.since),
        until: timeView(read.until),
        stored_since: timeView(read.storedSince),
        newly_denied: totalView(tally.totals['newly-denied']),
        newly_allowed: totalView(tally.totals['newly-allowed']),
        unchanged: totalView(tally.totals.unchanged),
        disagrees: totalView(tally.totals.disagrees),
        not_judged: Object.fromEntries(
          Object.entries(tally.notJudged).map(([reason, total]) => [reason.replaceAll('-', '_'), totalView(total)]),
        ),
        lost: Number(read.lost),
        omitted,
        documents,
      };
    }
  }
};

export const suggestionView = (event: SuggestEvent): object => {
  switch (event.event) {
    case 'progress':
      return { event: 'progress', done: event.done, flows: Number(event.flows) };
    case 'document': {
      const { key, text, labels, workloads, workloadCount, observed, covered } = event.suggestion;
      return {
        event: 'document',
        key,
        text,
        labels,
        workloads,
        workload_count: workloadCount,
        observed: totalView(observed),
        covered: totalView(covered),
      };
    }
    case 'summary': {
      const { read, observed, covered, leftOut } = event;
      return {
        event: 'summary',
        since: timeView(read.since),
        until: timeView(read.until),
        stored_since: timeView(read.storedSince),
        observed: totalView(observed),
        covered: totalView(covered),
        left_out: Object.fromEntries(
          Object.entries(leftOut).map(([why, total]) => [why.replaceAll('-', '_'), totalView(total)]),
        ),
        lost: Number(read.lost),
      };
    }
  }
};
