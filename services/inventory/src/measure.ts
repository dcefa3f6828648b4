// SPDX-License-Identifier: Apache-2.0
/** What Prometheus sees of the inventory: counted in the database when it asks. */
import { observe } from '@weir/telemetry';
import { sql } from 'kysely';
import { hostState } from './domain/liveness.ts';
import type { Operations } from './operations/context.ts';

/** Call the returned function to stop. */
export const measureInventory = ({ db }: Operations): (() => void) => {
  const countOf = async (table: 'workloads' | 'identities'): Promise<number> => {
    const row = await db.kysely.selectFrom(table).select(sql<number>`count(*)::int`.as('n')).executeTakeFirstOrThrow();
    return row.n;
  };
  const unreachable = async (column: 'unreachable_hosts' | 'unreachable_endpoints'): Promise<number> => {
    const sum = sql<number>`coalesce(sum(${sql.ref(column)}), 0)::int`.as('n');
    return (await db.kysely.selectFrom('health_reports').select(sum).executeTakeFirstOrThrow()).n;
  };
  const stops = [
    observe('weir_inventory_workloads', async (result) => result(await countOf('workloads'))),
    observe('weir_inventory_identities', async (result) => result(await countOf('identities'))),
    observe('weir_inventory_unreachable_hosts', async (result) => result(await unreachable('unreachable_hosts'))),
    observe('weir_inventory_unreachable_health_endpoints', async (result) =>
      result(await unreachable('unreachable_endpoints')),
    ),
    observe('weir_inventory_hosts', async (result) => {
      const rows = await db.kysely
        .selectFrom('hosts')
        .leftJoin('host_status as s', 's.host_id', 'hosts.id')
        .select('s.last_seen_at')
        .execute();
      const now = Date.now();
      for (const state of ['never-seen', 'alive', 'stale'] as const) {
        result(rows.filter((row) => hostState(row.last_seen_at, now) === state).length, { state });
      }
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
};
