// SPDX-License-Identifier: Apache-2.0
/** Reading identities: the reserved ones, which nobody allocates, stand before the others. */
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

/** A label without a source is one of a workload or its namespace. */
const withSource = (label: string): string => (/^[a-z][a-z0-9-]*:/.test(label) ? label : `k8s:${label}`);

/** In order of their numbers, from behind `after` on; those that have all of `labels`. */
export const identitiesAfter = async (
  { db }: Operations,
  labels: readonly string[],
  after: number,
  limit: number,
): Promise<IdentityView[]> => {
  const wanted = labels.map(withSource);
  const fixed = reserved.filter((row) => row.identity > after && wanted.every((label) => row.labels.includes(label)));
  const given = await listIdentities(db.kysely, wanted, Math.max(after, FIRST_IDENTITY - 1), limit);
  return [...fixed, ...given].slice(0, limit);
};
