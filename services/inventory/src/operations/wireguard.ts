// SPDX-License-Identifier: Apache-2.0
/**
 * Public WireGuard keys, as agents tell them in their heartbeats. Whose a key is, is told by the subject, which the
 * broker authenticates; a key that another host has is not believed, since packets for that host would be lost.
 */
import { enqueueConfig } from '@weir/bus/publishing';
import { isUniqueViolation, withTransaction } from '@weir/db';
import { weirError } from '@weir/errors';
import { sql } from 'kysely';
import { hostDocument } from '../domain/documents.ts';
import { poolsOfHost } from '../store/blocks.ts';
import type { HostRow } from '../store/hosts.ts';
import type { Operations } from './context.ts';

/** 32 bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

export type SaidKeys = ReadonlyMap<string, string>;

const saveKey = (db: Operations['db'], id: string, key: string): Promise<void> =>
  withTransaction(db, async (trx) => {
    const row = (await trx.selectFrom('hosts').selectAll().where('id', '=', id).forNoKeyUpdate().executeTakeFirst()) as
      | HostRow
      | undefined;
    if (row === undefined || row.wireguard_key === key) return;
    const next = { ...row, wireguard_key: key };
    await trx.updateTable('hosts').set({ wireguard_key: key }).where('id', '=', id).execute();
    const { revision } = await enqueueConfig(trx, [hostDocument(next, await poolsOfHost(trx, id))]);
    await trx.updateTable('hosts').set({ revision }).where('id', '=', id).execute();
  });

/**
 * One query when nothing is new, which is nearly always. `refused`: by host, the key that was refused last; the same
 * again is not told again, though tried, since the other host may have given it up.
 */
export const saveKeys = async (
  { db }: Pick<Operations, 'db'>,
  said: SaidKeys,
  refused: Map<string, string>,
  onRefused: (error: unknown) => void,
): Promise<void> => {
  const refuse = (id: string, key: string, error: unknown): void => {
    if (refused.get(id) !== key) onRefused(error);
    refused.set(id, key);
  };
  const hosts = [...said.keys()];
  const { rows } = await sql<{ id: string }>`
    select h.id from hosts h
    join unnest(${hosts}::text[], ${[...said.values()]}::text[]) as said (id, key) on said.id = h.id
    where h.wireguard_key <> said.key order by h.id`.execute(db.kysely);
  for (const { id } of rows) {
    const key = said.get(id) ?? '';
    if (key !== '' && !KEY.test(key)) {
      refuse(
        id,
        key,
        weirError('MALFORMED', `host ${id} told a WireGuard key that is none`, { field: 'wireguard_key' }),
      );
      continue;
    }
    try {
      await saveKey(db, id, key);
    } catch (error) {
      if (!isUniqueViolation(error, 'hosts_wireguard_key')) throw error;
      refuse(
        id,
        key,
        weirError('CONFLICT', `host ${id} told the WireGuard key of another host`, {
          field: 'wireguard_key',
          fix: 'let it make its own: two hosts made from one image must not share it',
          cause: error,
        }),
      );
    }
  }
};
