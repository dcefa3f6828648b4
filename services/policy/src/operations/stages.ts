// SPDX-License-Identifier: Apache-2.0
/**
 * Notes when a change passed the stations of this service, in Postgres and as spans with the same times, and answers
 * how a revision went.
 */
import { context, logger, nowUs, recordSpan, trace } from '@weir/telemetry';
import type { Transaction } from 'kysely';
import { type HostStages, type RevisionStages, readStages, saveCommitted, saveReceived } from '../store/stages.ts';
import type { Tables } from '../store/tables.ts';
import { notFound, type Operations } from './context.ts';

const log = logger('policy.stages');

/** One change, from the request to its commit. */
export const beginChange = () => {
  const receivedUs = nowUs();
  const parent = context.active();
  const traceId = trace.getSpanContext(parent)?.traceId ?? null;
  const revisions: bigint[] = [];
  return {
    /** In the transaction. */
    async made(trx: Transaction<Tables>, made: readonly bigint[]): Promise<void> {
      revisions.push(...made);
      await saveReceived(trx, made, { traceId, receivedUs });
    },
    /** After it. The change is made, whatever comes of this. */
    async committed({ db }: Operations): Promise<void> {
      if (revisions.length === 0) return;
      const committedUs = nowUs();
      const attributes = { 'weir.revision': Number(revisions.at(-1)), 'weir.documents': revisions.length };
      recordSpan('commit', { parent, attributes }, { startUs: receivedUs, endUs: committedUs });
      await saveCommitted(db.kysely, revisions, committedUs).catch((error: unknown) =>
        log.warn({ error, revisions: revisions.length }, 'when a change was committed could not be noted'),
      );
    },
  };
};

export interface RevisionTrace {
  readonly revision: RevisionStages;
  readonly hosts: readonly HostStages[];
}

export const traceOf = async ({ db }: Operations, revision: bigint): Promise<RevisionTrace> => {
  const found = await readStages(db.kysely, revision);
  if (found === undefined)
    throw notFound(
      'trace of revision',
      String(revision),
      'ask for one of the newest 500 revisions of GET /v1/policies',
    );
  return found;
};
