// SPDX-License-Identifier: Apache-2.0
/** Reading identities: the reserved ones, which nobody allocates, stand before the others. */
import { type Page, page } from '@weir/http';
import { FIRST_IDENTITY, LAST_IDENTITY, RESERVED_IDENTITIES } from '../domain/reserved.ts';
import { getIdentity, type IdentityView, listIdentities } from '../store/identities.ts';
import { notFound, type Operations } from './context.ts';

const reserved: readonly IdentityView[] = RESERVED_IDENTITIES.map(({ identity, labels }) => ({
  identity,
  labels: [...labels],
  workloads: 0,
}));

export const findIdentity = async ({ db }: Operations, identity: number): Promise<IdentityView> => {
  const known = reserved.find((one) => one.identity === identity);
  // Larger numbers do not fit the column; those of CIDRs are local to a host.
  const row = known ?? (identity <= LAST_IDENTITY ? await getIdentity(db.kysely, identity) : undefined);
  if (row === undefined) throw notFound('identity', String(identity));
  return row;
};

/** `after`: the last number of the page before. */
export const pageOfIdentities = async (
  { db }: Operations,
  after: number,
  limit: number,
): Promise<Page<IdentityView>> => {
  const fixed = reserved.filter(({ identity }) => identity > after);
  const given = await listIdentities(db.kysely, Math.max(after, FIRST_IDENTITY - 1), limit + 1);
  return page(
    [...fixed, ...given].slice(0, limit + 1),
    limit,
    (row) => row,
    ({ identity }) => identity,
  );
};
