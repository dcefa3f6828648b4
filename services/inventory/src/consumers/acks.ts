// SPDX-License-Identifier: Apache-2.0
/** ack.<host>: what stands in that host's kernel, here: the state of its workloads. The subject says whose word it is. */
import { type Bus, type Consuming, consume, STREAM, subjects } from '@weir/bus';
import type { Database } from '@weir/db';
import type { WorkloadState } from '@weir/proto/weir/bus/v1/agent_pb.js';
import { counter } from '@weir/telemetry';
import { cleanBig, cleanCount, cleanMap, cleanText } from '../domain/reports.ts';
import { admitConnected } from '../operations/service-backends.ts';
import { saveRealised } from '../store/host-status.ts';
import type { Tables } from '../store/tables.ts';
import { type StatusOfWorkload, saveWorkloadStatuses } from '../store/workloads.ts';

/** A fleet acknowledges at once: what came while others were stored is stored together. */
const BATCH = 500;

const statusOf = (host: string, workload: WorkloadState): StatusOfWorkload => ({
  host_id: host,
  workload_id: cleanText(workload.id),
  state: cleanText(workload.state),
  message: cleanText(workload.message),
  local_id: cleanCount(workload.localId),
  policy_enabled: cleanText(workload.policyEnabled),
  policy_entries: cleanCount(workload.policyEntries),
  identity: cleanCount(workload.identity),
});

export const consumeAcks = (bus: Bus, db: Database<Tables>, onError: (error: unknown) => void): Consuming =>
  consume({
    bus,
    stream: STREAM.ACKS,
    durable: 'inventory',
    batch: BATCH,
    onError,
    handle: async (messages) => {
      counter('weir_inventory_acks_total').add(messages.length);
      // Only the newest of each host matters: an ack tells the whole state.
      const newest = new Map<string, Uint8Array>();
      for (const message of messages) {
        const host = subjects.ack.parse(message.subject)?.host;
        if (host !== undefined) newest.set(host, message.data);
      }
      const acks = [...newest].map(([host, data]) => ({ host, ack: subjects.ack.decode(data) }));
      // Two statements for all of them: a change makes the whole fleet speak at once.
      await saveRealised(
        db,
        acks.map(({ host, ack }) => ({ host_id: host, boot: cleanBig(ack.boot), realised: cleanMap(ack.realised) })),
      );
      await saveWorkloadStatuses(
        db,
        acks.flatMap(({ host, ack }) => ack.workloads.map((workload) => statusOf(host, workload))),
      );
      await admitConnected(db);
    },
  });
