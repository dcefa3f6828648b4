// SPDX-License-Identifier: Apache-2.0
/**
 * Writing to the outbox: documents that leave if, and only if, the change they tell of is committed. Their
 * revisions are known inside the transaction, so that the API can answer with them.
 */
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type ConfigDocument, ConfigDocumentSchema } from '@weir/proto/weir/bus/v1/config_pb.js';
import { type Kysely, sql } from 'kysely';
import { noteChanges } from './changes.ts';
import { type ConfigKind, configSubject, PUBLISHER_OF } from './subjects.ts';
import { traceFields } from './trace.ts';

/** No body: the entity is gone. */
export interface OutboxDocument {
  readonly kind: ConfigKind;
  readonly key: string;
  readonly body?: NonNullable<MessageInitShape<typeof ConfigDocumentSchema>['body']>;
  /** Of a policy: connections that are established may go on. */
  readonly drains?: boolean;
}

export interface Enqueued {
  readonly epoch: bigint;
  /** One for each document, in their order. */
  readonly revisions: readonly bigint[];
  /** The last of them: when a host has realised it, it has realised all. */
  readonly revision: bigint;
}

/** Any transaction of kysely, whatever its tables. */
// biome-ignore lint/suspicious/noExplicitAny: the tables written here are not among the service's types
export type Executor = Kysely<any>;

export const outboxChannel = (schema: string): string => `bus_outbox_${schema}`;

/** Takes the next `count` revisions; other transactions wait from here to the end of this one. */
export const takeRevisions = async (trx: Executor, count: number): Promise<{ epoch: bigint; last: bigint }> => {
  const { rows } = await sql<{ epoch: string | bigint; revision: string | bigint }>`
    update bus_publisher set revision = revision + ${count} returning epoch, revision`.execute(trx);
  const row = rows[0];
  if (row === undefined) throw new Error('bus_publisher is empty: its migration did not run');
  return { epoch: BigInt(row.epoch), last: BigInt(row.revision) };
};

/** Documents in one statement, which is made in one go. */
const CHUNK = 64;

/** Rows whose revisions were taken in the same transaction. */
export const insertOutboxRows = async (trx: Executor, documents: readonly ConfigDocument[]): Promise<void> => {
  const trace = JSON.stringify(traceFields());
  for (let at = 0; at < documents.length; at += CHUNK) await insertRows(trx, documents.slice(at, at + CHUNK), trace);
  await sql`select pg_notify(${outboxChannel('')}::text || current_schema(), '')`.execute(trx);
};

const insertRows = async (trx: Executor, documents: readonly ConfigDocument[], trace: string): Promise<void> => {
  await sql`
    insert into bus_outbox (epoch, revision, subject, document, removed, trace)
    select epoch, revision, subject, document, removed, ${trace}::jsonb
    from unnest(
      ${documents.map(({ epoch }) => epoch.toString())}::bigint[],
      ${documents.map(({ revision }) => revision.toString())}::bigint[],
      ${documents.map(({ subject }) => subject)}::text[],
      ${documents.map((document) => Buffer.from(toBinary(ConfigDocumentSchema, document)))}::bytea[],
      ${documents.map(({ body }) => body.case === undefined)}::boolean[]
    ) as document (epoch, revision, subject, document, removed)`.execute(trx);
};

/**
 * Queues documents of one publisher, and notes them in the log of changes. Call it last in the transaction: writers wait for
 * one another from here on.
 */
export const enqueueConfig = async (trx: Executor, documents: readonly OutboxDocument[]): Promise<Enqueued> => {
  const { epoch, last } = await takeRevisions(trx, documents.length);
  const first = last - BigInt(documents.length) + 1n;
  const rows = documents.map(({ kind, key, body, drains = false }, index) =>
    create(ConfigDocumentSchema, {
      subject: configSubject(kind, key),
      epoch,
      revision: first + BigInt(index),
      publisher: PUBLISHER_OF[kind],
      drains,
      ...(body === undefined ? {} : { body }),
    }),
  );
  if (rows.length > 0) await insertOutboxRows(trx, rows);
  await noteChanges(
    trx,
    documents.map(({ kind, key, body }, index) => ({
      kind,
      key,
      what: body === undefined ? 'removed' : 'written',
      revision: first + BigInt(index),
    })),
  );
  return { epoch, revisions: rows.map(({ revision }) => revision), revision: last };
};
