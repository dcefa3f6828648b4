// SPDX-License-Identifier: Apache-2.0
/** Objects of the fleet that become one document each: network, egress gateways, prefilters. */
import type { Kysely, Selectable, Transaction } from 'kysely';
import type { FleetObjectKind, Tables } from './tables.ts';

/** `spec` was checked by the schema of its kind when it was stored. */
export type FleetObject<Spec> = Omit<Selectable<Tables['fleet_objects']>, 'spec'> & { readonly spec: Spec };

export const listObjects = <Spec>(
  db: Kysely<Tables>,
  kind: FleetObjectKind,
  after: string,
  limit: number,
): Promise<FleetObject<Spec>[]> =>
  db
    .selectFrom('fleet_objects')
    .selectAll()
    .where('kind', '=', kind)
    .where('name', '>', after)
    .orderBy('name')
    .limit(limit)
    .execute() as Promise<FleetObject<Spec>[]>;

export const getObject = <Spec>(
  db: Kysely<Tables>,
  kind: FleetObjectKind,
  name: string,
): Promise<FleetObject<Spec> | undefined> =>
  db
    .selectFrom('fleet_objects')
    .selectAll()
    .where('kind', '=', kind)
    .where('name', '=', name)
    .executeTakeFirst() as Promise<FleetObject<Spec> | undefined>;

/** `share`: as it is until the end of the transaction. */
export const lockObject = <Spec>(
  trx: Transaction<Tables>,
  kind: FleetObjectKind,
  name: string,
  mode: 'share' | 'update',
): Promise<FleetObject<Spec> | undefined> => {
  const query = trx.selectFrom('fleet_objects').selectAll().where('kind', '=', kind).where('name', '=', name);
  return (mode === 'share' ? query.forShare() : query.forUpdate()).executeTakeFirst() as Promise<
    FleetObject<Spec> | undefined
  >;
};

export const saveObject = async (
  trx: Transaction<Tables>,
  kind: FleetObjectKind,
  name: string,
  spec: object,
  revision: bigint,
): Promise<void> => {
  const values = { spec: JSON.stringify(spec), revision };
  await trx
    .insertInto('fleet_objects')
    .values({ kind, name, ...values })
    .onConflict((conflict) => conflict.columns(['kind', 'name']).doUpdateSet(values))
    .execute();
};
