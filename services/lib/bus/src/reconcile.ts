// SPDX-License-Identifier: Apache-2.0
/**
 * Makes the stream hold what the publisher has told the fleet. The broker may lose its disk or come back from an
 * older one; the database may be the one that was restored. Run by the leading dispatcher only, so that nothing is
 * published meanwhile.
 */
import { type Database, withTransaction } from '@weir/db';
import { weirError } from '@weir/errors';
import type { ConfigDocument } from '@weir/proto/weir/bus/v1/config_pb.js';
import type { Bus } from './connect.ts';
import { newEpoch } from './epoch.ts';
import { enqueueConfig } from './outbox.ts';
import { publishTo } from './publish.ts';
import { type Signer, verifySigned } from './signing.ts';
import { readSnapshot, type SnapshotMessage, serviceSnapshotConsumer } from './snapshot.ts';
import { STREAM } from './streams.ts';
import { PUBLISHER_OF, type Publisher, parseConfigSubject } from './subjects.ts';

// biome-ignore lint/suspicious/noExplicitAny: any service's tables will do
export type ReconcileDb = Pick<Database<any>, 'pool' | 'schema' | 'kysely'>;

export interface ReconcileOptions {
  readonly db: ReconcileDb;
  readonly bus: Pick<Bus, 'nc' | 'js' | 'jsm'>;
  readonly signer: Signer;
  readonly publisher: Publisher;
  readonly inboxPrefix: string;
  readonly onBehind?: 'refuse' | 'new-epoch';
  readonly signal?: AbortSignal;
}

/** Tombstones stay in the stream for those who were away; who was away longer is told by the heartbeat's count. */
const TOMBSTONE_MS = 3_600_000;

interface Stored extends SnapshotMessage {
  /** Undefined when it does not verify with the publisher's own key. */
  readonly document: ConfigDocument | undefined;
}

const newer = (a: { epoch: bigint; revision: bigint }, b: { epoch: bigint; revision: bigint }): boolean =>
  a.epoch === b.epoch ? a.revision > b.revision : a.epoch > b.epoch;

const readStored = async (options: ReconcileOptions): Promise<Map<string, Stored>> => {
  const { bus, signer, publisher } = options;
  const messages = await readSnapshot({ ...bus, ...options, consumer: serviceSnapshotConsumer(publisher) });
  const stored = new Map<string, Stored>();
  for (const message of messages) {
    const place = parseConfigSubject(message.subject);
    if (place === undefined || PUBLISHER_OF[place.kind] !== publisher) continue;
    let document: ConfigDocument | undefined;
    try {
      document = verifySigned(message.data, [signer.key], message.subject);
    } catch {
      // Forged, or signed with a key that was replaced.
    }
    stored.set(message.subject, { ...message, document });
  }
  return stored;
};

const readDatabase = async ({ db }: ReconcileOptions) => {
  const publisher = await db.pool.query('select epoch, revision from bus_publisher');
  const documents = await db.pool.query(
    'select subject, epoch, revision, document from bus_document order by revision',
  );
  const pending = await db.pool.query('select distinct subject from bus_outbox');
  return {
    given: { epoch: BigInt(publisher.rows[0].epoch), revision: BigInt(publisher.rows[0].revision) },
    documents: documents.rows.map((row) => ({
      subject: row.subject as string,
      epoch: BigInt(row.epoch),
      revision: BigInt(row.revision),
      document: row.document as Buffer,
    })),
    pending: new Set<string>(pending.rows.map((row) => row.subject)),
  };
};

/** The database has given out less than was once signed. */
const fallenBehind = async (options: ReconcileOptions, epoch: bigint): Promise<void> => {
  if (options.onBehind === 'new-epoch') {
    await newEpoch(options.db, epoch + 1n);
    return;
  }
  throw weirError(
    'CONFLICT',
    `the bus holds newer configuration of ${options.publisher} than its database has given out`,
    {
      field: 'epoch',
      fix: 'if the database was restored from a backup, start once with the NEW_EPOCH setting; otherwise find the other database',
    },
  );
};

/** Returns how many documents were published again. */
export const reconcile = async (options: ReconcileOptions): Promise<number> => {
  const { bus, signer, publisher, db } = options;
  const stored = await readStored(options);
  const { given, documents, pending } = await readDatabase(options);

  const ahead = [...stored.values()].flatMap(({ document }) => (document && newer(document, given) ? document : []));
  if (ahead.length > 0) {
    const epochs = ahead.map(({ epoch }) => epoch).sort();
    await fallenBehind(options, epochs.at(-1) ?? given.epoch);
    return reconcile(options);
  }

  let sent = 0;
  for (const row of documents) {
    const there = stored.get(row.subject)?.document;
    if (there !== undefined && !newer(row, there)) continue;
    const id = `${publisher}:${row.epoch}:${row.revision}:again:${Date.now()}`;
    await publishTo(bus.js, STREAM.CONFIG, row.subject, signer.sign(row.document), id);
    sent += 1;
  }

  const known = new Set(documents.map(({ subject }) => subject));
  const strangers = [...stored.values()].filter(({ subject, document }) => {
    const exists = document === undefined || document.body.case !== undefined;
    return exists && !known.has(subject) && !pending.has(subject);
  });
  if (strangers.length > 0) {
    const removals = strangers.flatMap(({ subject }) => parseConfigSubject(subject) ?? []);
    await withTransaction(db, (trx) => enqueueConfig(trx, removals));
  }

  const newest = [...stored.values()].reduce(
    (top, { document }) => (document && document.revision > top ? document.revision : top),
    0n,
  );
  for (const { subject, document, timeMs } of stored.values()) {
    if (document === undefined || document.body.case !== undefined || pending.has(subject)) continue;
    // The newest is kept: it tells readers how far they are.
    if (document.revision === newest || Date.now() - timeMs < TOMBSTONE_MS) continue;
    await bus.jsm.streams.purge(STREAM.CONFIG, { filter: subject });
  }
  return sent;
};
