// SPDX-License-Identifier: Apache-2.0
/** ack.<host>: what stands in that host's kernel. The subject says whose word it is, never the message. */
import { type Bus, type Consuming, consume, STREAM, subjects } from '@weir/bus';
import { isWeirError } from '@weir/errors';
import { counter } from '@weir/telemetry';
import type { Operations } from '../operations/context.ts';
import { type AckRow, saveAcks } from '../store/acks.ts';

const PUBLISHER = 'policy';
/** A host that fails everything must not fill the table. */
const ERRORS_MAX = 100;
const MESSAGE_MAX = 1_000;

const ackRow = (subject: string, data: Uint8Array, storedAt: Date): AckRow | undefined => {
  const host = subjects.ack.parse(subject)?.host;
  if (host === undefined) return undefined;
  const ack = subjects.ack.decode(data, subject);
  return {
    host,
    boot: ack.boot,
    realised: ack.realised[PUBLISHER] ?? 0n,
    errors: ack.errors.slice(0, ERRORS_MAX).map(({ subject: failed, revision, code, message }) => ({
      subject: failed,
      revision: revision.toString(),
      code,
      message: message.slice(0, MESSAGE_MAX),
    })),
    acked_at: storedAt,
  };
};

export const consumeAcks = (bus: Bus, operations: Operations, onError: (error: unknown) => void): Consuming =>
  consume({
    bus,
    stream: STREAM.ACKS,
    durable: PUBLISHER,
    onError,
    handle: async (messages) => {
      // An ack tells the whole state of its host, so only the newest matters.
      const newest = new Map<string, AckRow>();
      for (const message of messages) {
        try {
          const row = ackRow(message.subject, message.data, message.time);
          if (row !== undefined) newest.set(row.host, row);
        } catch (error) {
          if (!isWeirError(error)) throw error;
          // Junk on a host's subject: nothing to try again.
          counter('weir_bus_rejected_total').add(1, { reason: 'malformed' });
          onError(error);
        }
      }
      await saveAcks(operations.db.kysely, [...newest.values()]);
      for (const host of newest.keys()) operations.fleet.heard(host);
      counter('weir_policy_acks_total').add(newest.size);
      operations.acknowledged.notify();
    },
  });
