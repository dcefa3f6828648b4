// SPDX-License-Identifier: Apache-2.0
/** Addresses kept for one workload: it gets them whenever it is created, and nobody else does. */
import { noteChanges } from '@weir/bus/publishing';
import { withTransaction } from '@weir/db';
import { weirError } from '@weir/errors';
import { Cursors, type Page, requireMatch, requireNoneMatch } from '@weir/http';
import { ipFamily, parseIp } from '@weir/net';
import { type Selectable, sql } from 'kysely';
import { Type } from 'typebox';
import { checkAddress, checkUnicast } from '../domain/addresses.ts';
import { checkName } from '../domain/names.ts';
import { isUnderlay, lockAddress } from '../store/addresses.ts';
import type { Tables } from '../store/tables.ts';
import { notFound, type Operations } from './context.ts';
import type { Conditions } from './objects.ts';
import type { PageRequest } from './pages.ts';

export type ReservationRow = Selectable<Tables['reservations']>;

const RESERVATIONS = new Cursors('reservations', Type.String());
const FIX = 'give one address such as 10.77.0.5 or fd77::5';

const canonical = (address: string): string => {
  try {
    return checkAddress('address', address, ipFamily(parseIp(address)));
  } catch {
    throw weirError('INVALID_ARGUMENT', `address ${JSON.stringify(address)} is not an IP address`, {
      field: 'address',
      value: address,
      fix: FIX,
    });
  }
};

const checkWorkload = (id: string): void => {
  const [namespace = '', name = '', ...more] = id.split('.');
  if (name === '' || more.length > 0) {
    throw weirError('INVALID_ARGUMENT', `workload ${JSON.stringify(id)} is not namespace.name`, {
      field: 'workload',
      value: id,
      fix: 'write it as shop.web',
    });
  }
  checkName('workload', namespace);
  checkName('workload', name);
};

export const putReservation = (
  { db }: Operations,
  given: string,
  workload: string,
  { ifMatch, ifNoneMatch }: Conditions,
): Promise<ReservationRow> => {
  const address = canonical(given);
  checkUnicast('address', address, FIX);
  checkWorkload(workload);
  return withTransaction(db, async (trx) => {
    await lockAddress(trx, address);
    const row = await trx
      .selectFrom('reservations')
      .selectAll()
      .where('address', '=', address)
      .forUpdate()
      .executeTakeFirst();
    requireMatch(ifMatch, row?.revision);
    requireNoneMatch(ifNoneMatch, row?.revision);
    const owner = await trx
      .selectFrom('workloads')
      .select('id')
      .where((eb) => eb.or([eb('ip4', '=', address), eb('ip6', '=', address)]))
      .where('id', '<>', workload)
      .executeTakeFirst();
    if (owner || (await isUnderlay(trx, address))) {
      throw weirError('CONFLICT', `address ${address} is in use, by ${owner ? `workload ${owner.id}` : 'a host'}`, {
        field: 'address',
        value: address,
        fix: owner ? `delete workload ${owner.id} first, or reserve another address` : 'reserve another address',
      });
    }
    const reserved = await trx
      .insertInto('reservations')
      .values({ address, workload })
      .onConflict((conflict) =>
        conflict.column('address').doUpdateSet({ workload, revision: sql<bigint>`reservations.revision + 1` }),
      )
      .returningAll()
      .executeTakeFirstOrThrow();
    await noteChanges(trx, [{ kind: 'reservation', key: address, what: 'written' }]);
    return reserved;
  });
};

export const findReservation = async ({ db }: Operations, given: string): Promise<ReservationRow> => {
  const address = canonical(given);
  const row = await db.kysely.selectFrom('reservations').selectAll().where('address', '=', address).executeTakeFirst();
  if (row === undefined) throw notFound('reservation', address);
  return row;
};

export const deleteReservation = ({ db }: Operations, given: string, ifMatch: string | undefined): Promise<void> => {
  const address = canonical(given);
  return withTransaction(db, async (trx) => {
    const row = await trx
      .selectFrom('reservations')
      .select('revision')
      .where('address', '=', address)
      .forUpdate()
      .executeTakeFirst();
    if (row === undefined) throw notFound('reservation', address);
    requireMatch(ifMatch, row.revision);
    await trx.deleteFrom('reservations').where('address', '=', address).execute();
    await noteChanges(trx, [{ kind: 'reservation', key: address, what: 'removed' }]);
  });
};

export const pageOfReservations = async (
  { db }: Operations,
  { limit, cursor }: PageRequest,
): Promise<Page<ReservationRow>> => {
  const after = RESERVATIONS.decode(cursor);
  const rows = await db.kysely
    .selectFrom('reservations')
    .selectAll()
    .$if(after !== undefined, (query) => query.where(sql<boolean>`address > ${after ?? ''}::inet`))
    .orderBy('address')
    .limit(limit + 1)
    .execute();
  return RESERVATIONS.page(
    rows,
    limit,
    (row) => row,
    ({ address }) => address,
  );
};
