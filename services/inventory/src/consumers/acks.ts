// SPDX-License-Identifier: Apache-2.0
/** ack.<host>: what stands in that host's kernel, here: the state of its workloads. The subject says whose word it is. */
import { type Bus, type Consuming, consume, STREAM, subjects } from '@weir/bus';
import type { Database } from '@weir/db';
import type { WorkloadState } from '@weir/proto/weir/bus/v1/agent_pb.js';
import { counter } from '@weir/telemetry';
import { cleanBig, cleanCount, cleanMap, cleanText } from '../domain/reports.ts';
import { saveRealised } from '../store/hosts.ts';
import type { Tables } from '../store/tables.ts';
import { type StatusOfWorkload, saveWorkloadStatuses } from '../store/workloads.ts';

const statusOf = (workload: WorkloadState): StatusOfWorkload => ({
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
    onError,
    handle: async (messages) => {
      counter('weir_inventory_acks_total').add(messages.length);
      // Only the newest of each host matters: an ack tells the whole state.
      const newest = new Map<string, Uint8Array>();
      for (const message of messages) {
        const host = subjects.ack.parse(message.subject)?.host;
        if (host !== undefined) newest.set(host, message.data);
      }
      for (const [host, data] of newest) {
        const ack = subjects.ack.decode(data);
        await saveRealised(db.kysely, host, cleanBig(ack.boot), cleanMap(ack.realised));
        await saveWorkloadStatuses(db.kysely, host, ack.workloads.map(statusOf));
      }
    },
  });
