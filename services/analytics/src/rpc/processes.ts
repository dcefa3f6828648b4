// SPDX-License-Identifier: Apache-2.0
/** weir.analytics.v1.ProcessService. */
import { LostSource, type ProcessFilter, ProcessService } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { implement, type Registered } from '@weir/rpc';
import { PROCESS_KINDS, PROCESS_VERDICTS, type ProcessFilterParams } from '../domain/process-filter.ts';
import type { StoredProcessEvent } from '../domain/process-view.ts';
import { listProcessEvents, type ProcessApiDeps, processTree, streamProcessEvents } from '../process-api.ts';
import type { TreeProcess } from '../store/process-pages.ts';
import { timeText } from './messages.ts';

const LOST_SOURCE = {
  STREAM_QUEUE: LostSource.STREAM_QUEUE,
  NOT_YET_STORED: LostSource.NOT_YET_STORED,
  EXPIRED: LostSource.EXPIRED,
} as const;

/** The same parameters as REST's, so that one parser refuses what is wrong with one text. */
const params = (filter: ProcessFilter | undefined): ProcessFilterParams =>
  filter === undefined
    ? {}
    : {
        since: timeText(filter.since),
        until: timeText(filter.until),
        kind: filter.kinds.map((kind) => PROCESS_KINDS[kind - 1] ?? String(kind)),
        host: filter.hosts,
        binary: filter.binaries,
        arguments: filter.arguments,
        pid: filter.pids.map(String),
        exec_id: filter.execIds,
        parent_exec_id: filter.parentExecIds,
        workload: filter.workloads,
        namespace: filter.namespaces,
        unit: filter.units,
        uid: filter.uids.map(String),
        policy: filter.policies,
        verdict: filter.verdicts.map((verdict) => PROCESS_VERDICTS[verdict - 1] ?? String(verdict)),
      };

const message = ({ host, boot, seq, event }: StoredProcessEvent) => ({
  host,
  boot: BigInt(boot),
  seq: BigInt(seq),
  event,
});

const treeMessage = ({ begin, end }: TreeProcess) => ({ begin: message(begin), ...(end ? { end: message(end) } : {}) });

export const processService = (deps: ProcessApiDeps): Registered =>
  implement(ProcessService, {
    listProcessEvents: async ({ filter, pageSize, pageToken }) => {
      const { events, next } = await listProcessEvents(deps, {
        params: params(filter),
        ...(pageSize === 0 ? {} : { limit: pageSize }),
        ...(pageToken === '' ? {} : { cursor: pageToken, cursorField: 'page_token' }),
      });
      return { events: events.map(message), nextPageToken: next ?? '' };
    },
    streamProcessEvents: async function* ({ filter, last, afterPosition }, { signal }) {
      const request = { params: params(filter), after: afterPosition, ...(last === 0 ? {} : { last: String(last) }) };
      for await (const event of await streamProcessEvents(deps, request, signal)) {
        if ('lost' in event) {
          const lost = { count: BigInt(event.lost), source: LOST_SOURCE[event.source] };
          yield { event: { case: 'lost' as const, value: lost } };
        } else yield { event: { case: 'process' as const, value: message(event.item) }, position: event.id };
      }
    },
    getProcessTree: async ({ execId }) => {
      const { process, ancestors, siblings, children } = await processTree(deps, execId);
      return {
        process: treeMessage(process),
        ancestors: ancestors.map(treeMessage),
        siblings: siblings.map(treeMessage),
        children: children.map(treeMessage),
      };
    },
  });
