// SPDX-License-Identifier: Apache-2.0
/** What each host said last. */
import { type Kysely, type Selectable, sql } from 'kysely';
import type { HostAck } from '../domain/realisation.ts';
import type { Tables } from './tables.ts';

export type AckRow = Selectable<Tables['host_acks']>;

/**
 * A later one wins. The broker's clock decides, since a host's own may be wrong; when the broker's was set back, one
 * that is a minute behind wins again.
 */
export const saveAcks = async (db: Kysely<Tables>, acks: readonly AckRow[]): Promise<void> => {
  if (acks.length === 0) return;
  await db
    .insertInto('host_acks')
    .values(acks.map((ack) => ({ ...ack, errors: JSON.stringify(ack.errors), runtime: JSON.stringify(ack.runtime) })))
    .onConflict((conflict) =>
      conflict
        .column('host')
        .doUpdateSet((eb) => ({
          boot: eb.ref('excluded.boot'),
          realised: eb.ref('excluded.realised'),
          tried: eb.ref('excluded.tried'),
          errors: eb.ref('excluded.errors'),
          runtime: eb.ref('excluded.runtime'),
          acked_at: eb.ref('excluded.acked_at'),
        }))
        .where(
          sql<boolean>`excluded.acked_at >= host_acks.acked_at or excluded.acked_at < host_acks.acked_at - interval '1 minute'`,
        ),
    )
    .execute();
};

export const listAcks = async (db: Kysely<Tables>): Promise<Map<string, HostAck>> => {
  const rows = await db.selectFrom('host_acks').select(['host', 'realised', 'tried', 'errors', 'runtime']).execute();
  return new Map(rows.map(({ host, ...ack }) => [host, ack]));
};
