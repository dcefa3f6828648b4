// SPDX-License-Identifier: Apache-2.0
/** Named objects of the fleet that become one document each: put, deleted, listed, whatever their kind. */
import { enqueueConfig, type OutboxDocument } from '@weir/bus/publishing';
import { withTransaction } from '@weir/db';
import { Cursors, type Page, requireMatch, requireNoneMatch } from '@weir/http';
import type { Transaction } from 'kysely';
import { type TSchema, Type } from 'typebox';
import { checkName } from '../domain/names.ts';
import { type FleetObject, getObject, listObjects, lockObject, saveObject } from '../store/objects.ts';
import type { FleetObjectKind, Tables } from '../store/tables.ts';
import { notFound, type Operations } from './context.ts';
import type { PageRequest } from './pages.ts';

export interface ObjectKind<Spec extends object> {
  readonly kind: FleetObjectKind;
  /** In singular, as paths of the API have it in plural: egress-gateway. */
  readonly noun: string;
  readonly schema: TSchema;
  /** Throws INVALID_ARGUMENT, or gives what is to be stored. */
  readonly check: (spec: Spec) => Spec;
  /** Throws when it can't be among what exists. */
  readonly admit: (trx: Transaction<Tables>, spec: Spec, operations: Operations) => Promise<void>;
  readonly body: (name: string, spec: Spec) => NonNullable<OutboxDocument['body']>;
}

export interface Conditions {
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
}

export const putObject = <Spec extends object>(
  operations: Operations,
  kind: ObjectKind<Spec>,
  name: string,
  given: Spec,
  { ifMatch, ifNoneMatch }: Conditions,
): Promise<FleetObject<Spec>> => {
  checkName('name', name);
  const spec = kind.check(given);
  return withTransaction(operations.db, async (trx) => {
    const row = await lockObject<Spec>(trx, kind.kind, name, 'update');
    requireMatch(ifMatch, row?.revision);
    requireNoneMatch(ifNoneMatch, row?.revision);
    await kind.admit(trx, spec, operations);
    const document = { kind: kind.kind, key: name, body: kind.body(name, spec) };
    const { revision } = await enqueueConfig(trx, [document]);
    await saveObject(trx, kind.kind, name, spec, revision);
    return (await getObject<Spec>(trx, kind.kind, name)) as FleetObject<Spec>;
  });
};

export const findObject = async <Spec extends object>(
  { db }: Operations,
  { kind, noun }: ObjectKind<Spec>,
  name: string,
): Promise<FleetObject<Spec>> => {
  const row = await getObject<Spec>(db.kysely, kind, name);
  if (row === undefined) throw notFound(noun, name);
  return row;
};

export const deleteObject = (
  { db }: Operations,
  { kind, noun }: Pick<ObjectKind<object>, 'kind' | 'noun'>,
  name: string,
  ifMatch: string | undefined,
): Promise<void> =>
  withTransaction(db, async (trx) => {
    const row = await lockObject(trx, kind, name, 'update');
    if (row === undefined) throw notFound(noun, name);
    requireMatch(ifMatch, row.revision);
    await trx.deleteFrom('fleet_objects').where('kind', '=', kind).where('name', '=', name).execute();
    await enqueueConfig(trx, [{ kind, key: name }]);
  });

export const pageOfObjects = async <Spec extends object>(
  { db }: Operations,
  { kind, noun }: ObjectKind<Spec>,
  { limit, cursor }: PageRequest,
): Promise<Page<FleetObject<Spec>>> => {
  const cursors = new Cursors(`${noun}s`, Type.String());
  const rows = await listObjects<Spec>(db.kysely, kind, cursors.decode(cursor) ?? '', limit + 1);
  return cursors.page(
    rows,
    limit,
    (row) => row,
    ({ name }) => name,
  );
};
