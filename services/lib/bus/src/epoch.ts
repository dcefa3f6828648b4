// SPDX-License-Identifier: Apache-2.0
/**
 * A new epoch: the one way to make readers take older revisions, needed when a publisher's database was restored
 * from a backup. Everything it holds is published again under the new epoch.
 */

import { fromBinary } from '@bufbuild/protobuf';
import { type Database, withTransaction } from '@weir/db';
import { type ConfigDocument, ConfigDocumentSchema } from '@weir/proto/weir/bus/v1/config_pb.js';
import { sql } from 'kysely';
import { insertOutboxRows, takeRevisions } from './outbox.ts';

/** Starts an epoch not below `atLeast`; returns it. */
// biome-ignore lint/suspicious/noExplicitAny: any service's tables will do
export const newEpoch = (db: Pick<Database<any>, 'kysely'>, atLeast = 1n): Promise<bigint> =>
  withTransaction(db, async (trx) => {
    await sql`update bus_publisher set epoch = greatest(epoch + 1, ${atLeast.toString()}::bigint)`.execute(trx);
    // Unpublished changes come last, so the newest of a subject wins.
    const { rows } = await sql<{ document: Buffer }>`
      select document from bus_document union all (select document from bus_outbox order by revision)`.execute(trx);
    const newest = new Map<string, ConfigDocument>();
    for (const { document } of rows) {
      const decoded = fromBinary(ConfigDocumentSchema, document);
      newest.set(decoded.subject, decoded);
    }
    await sql`delete from bus_outbox`.execute(trx);
    const { epoch, last } = await takeRevisions(trx, newest.size);
    const first = last - BigInt(newest.size) + 1n;
    const documents = [...newest.values()].map((document, index) => ({
      ...document,
      epoch,
      revision: first + BigInt(index),
    }));
    if (documents.length > 0) await insertOutboxRows(trx, documents);
    return epoch;
  });
