// SPDX-License-Identifier: Apache-2.0
/** ack.<host>: what stands in that host's kernel. The subject says whose word it is, never the message. */
import { type Bus, type Consuming, consume, STREAM, subjects } from '@weir/bus';
import { isWeirError } from '@weir/errors';
import type { Ack } from '@weir/proto/weir/bus/v1/agent_pb.js';
import { counter, extractTrace, nowUs, recordSpan, SpanKind } from '@weir/telemetry';
import type { Operations } from '../operations/context.ts';
import { type AckRow, saveAcks } from '../store/acks.ts';
import { type HostStages, saveHostStages } from '../store/stages.ts';

const PUBLISHER = 'policy';
/** A fleet acknowledges at once: what came while others were stored is stored together. */
const BATCH = 500;
/** A host that fails everything must not fill the table. */
const ERRORS_MAX = 100;
const MESSAGE_MAX = 1_000;

/** A host tells of its latest documents; more is not believed. */
const STAGES_MAX = 64;
/** Year 2255: what a number of JSON holds exactly. */
const US_MAX = BigInt(Number.MAX_SAFE_INTEGER);

const ackRow = (host: string, ack: Ack, storedAt: Date): AckRow => ({
  host,
  boot: ack.boot,
  realised: ack.realised[PUBLISHER] ?? 0n,
  tried: ack.tried[PUBLISHER] ?? null,
  errors: ack.errors.slice(0, ERRORS_MAX).map(({ subject: failed, revision, code, message }) => ({
    subject: failed,
    revision: revision.toString(),
    code,
    message: message.slice(0, MESSAGE_MAX),
  })),
  acked_at: storedAt,
  runtime: ack.runtimePolicies.slice(0, ERRORS_MAX).map(({ subject: of, revision, state, hooks }) => ({
    ...{ subject: of, revision: revision.toString(), state },
    hooks: hooks.map(({ path, backend, enforces, limits }) => ({
      ...{ path, backend, enforces },
      limits: limits.map((limit) => limit.slice(0, MESSAGE_MAX)),
    })),
  })),
});

interface HostStage {
  readonly row: HostStages;
  readonly trace: Readonly<Record<string, string>>;
}

const hostStages = (host: string, { stages }: Ack, acknowledgedUs: bigint): HostStage[] =>
  stages
    .slice(0, STAGES_MAX)
    .filter(
      ({ publisher, revision, receivedUs, startedUs, compiledUs, writtenUs }) =>
        publisher === PUBLISHER &&
        [revision, receivedUs, startedUs, compiledUs, writtenUs].every((value) => value <= US_MAX),
    )
    .map(({ revision, receivedUs, startedUs, compiledUs, writtenUs, trace }) => ({
      row: {
        revision,
        host,
        received_us: receivedUs,
        started_us: startedUs,
        compiled_us: compiledUs,
        written_us: writtenUs,
        acknowledged_us: acknowledgedUs,
      },
      trace,
    }));

/** The last span of a change on a host: from the broker's time of the ack until it is stored. */
const traceStored = (saved: readonly HostStages[], told: readonly HostStage[]): void => {
  const endUs = nowUs();
  for (const { revision, host, acknowledged_us: startUs } of saved) {
    const trace = told.find(({ row }) => row.revision === revision && row.host === host)?.trace ?? {};
    if (trace.traceparent === undefined) continue;
    const attributes = { 'weir.host': host, 'weir.revision': Number(revision) };
    const parent = extractTrace((key) => trace[key]);
    recordSpan('store ack', { kind: SpanKind.CONSUMER, parent, attributes }, { startUs: Number(startUs), endUs });
  }
};

const saveStages = async ({ db }: Operations, told: readonly HostStage[]): Promise<void> => {
  // Once in a statement: several acks of one host tell the same.
  const rows = new Map(told.map((stage) => [`${stage.row.revision} ${stage.row.host}`, stage.row]));
  traceStored(await saveHostStages(db.kysely, [...rows.values()]), told);
};

export const consumeAcks = (bus: Bus, operations: Operations, onError: (error: unknown) => void): Consuming =>
  consume({
    bus,
    stream: STREAM.ACKS,
    durable: PUBLISHER,
    batch: BATCH,
    onError,
    handle: async (messages) => {
      // An ack tells the whole state of its host, so only the newest matters.
      const newest = new Map<string, AckRow>();
      const stages: HostStage[] = [];
      for (const message of messages) {
        const host = subjects.ack.parse(message.subject)?.host;
        if (host === undefined) continue;
        try {
          const ack = subjects.ack.decode(message.data, message.subject);
          newest.set(host, ackRow(host, ack, message.time));
          stages.push(...hostStages(host, ack, BigInt(message.timestampNanos) / 1_000n));
        } catch (error) {
          if (!isWeirError(error)) throw error;
          // Junk on a host's subject: nothing to try again.
          counter('weir_bus_rejected_total').add(1, { reason: 'malformed' });
          onError(error);
        }
      }
      await saveStages(operations, stages);
      await saveAcks(operations.db.kysely, [...newest.values()]);
      for (const host of newest.keys()) operations.fleet.heard(host);
      counter('weir_policy_acks_total').add(newest.size);
      operations.acknowledged.notify();
    },
  });
