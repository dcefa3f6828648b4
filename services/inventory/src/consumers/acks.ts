// SPDX-License-Identifier: Apache-2.0
/** ack.<host>: what stands in that host's kernel, here: the state of its workloads. The subject says whose word it is. */
import { type Bus, type Consuming, consume, STREAM, subjects } from '@weir/bus';
import type { Database } from '@weir/db';
import type { Tables } from '../store/tables.ts';
import { saveWorkloadStatuses } from '../store/workloads.ts';

export const consumeAcks = (bus: Bus, db: Database<Tables>, onError: (error: unknown) => void): Consuming =>
  consume({
    bus,
    stream: STREAM.ACKS,
    durable: 'inventory',
    onError,
    handle: async (messages) => {
      // Only the newest of each host matters: an ack tells the whole state.
      const newest = new Map<string, Uint8Array>();
      for (const message of messages) {
        const host = subjects.ack.parse(message.subject)?.host;
        if (host !== undefined) newest.set(host, message.data);
      }
      for (const [host, data] of newest) {
        const { workloads } = subjects.ack.decode(data);
        await saveWorkloadStatuses(
          db.kysely,
          host,
          workloads.map((w) => ({
            workload_id: w.id,
            state: w.state,
            message: w.message,
            local_id: w.localId,
            policy_enabled: w.policyEnabled,
            policy_entries: w.policyEntries,
          })),
        );
      }
    },
  });
