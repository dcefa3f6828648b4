// SPDX-License-Identifier: Apache-2.0
/**
 * Keeps the BRIN index of the open partition up to date. Postgres summarises new pages only when autovacuum comes
 * by, a minute later at best; until then every look at recent flows would read all of them. Cheap: it reads what was
 * written since the last time, and blocks nobody.
 */
import { isWeirError } from '@weir/errors';
import { logger } from '@weir/telemetry';
import type pg from 'pg';
import type { Partitions } from './partitions.ts';

/** An index is being built on that partition: it needs no summaries soon. */
const LOCK_WAIT_MS = 200;

const log = logger('analytics.summaries');

export const summarise = async (pool: pg.Pool, flows: Partitions): Promise<void> => {
  const names = flows.takeTouched();
  if (names.length === 0) return;
  const client = await pool.connect();
  try {
    await client.query('begin');
    await client.query(`set local lock_timeout = ${LOCK_WAIT_MS}`);
    await client.query(
      `select brin_summarize_new_values(i.indexrelid)
         from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
         join pg_class t on t.oid = i.indrelid
        where a.amname = 'brin' and t.relnamespace = current_schema()::regnamespace and t.relname = any($1)`,
      [names],
    );
    await client.query('commit');
    client.release();
  } catch (error) {
    client.release(true);
    // Next time; what was written meanwhile is summarised then too.
    for (const name of names) flows.touch(name);
    if (!isWeirError(error)) log.debug({ error }, 'pages could not be summarised');
  }
};
