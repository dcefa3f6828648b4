// SPDX-License-Identifier: Apache-2.0
/** Reports of the health mesh, one row for each host that told one. */
import { type Kysely, type Selectable, sql } from 'kysely';
import type { ProbeRow, Tables } from './tables.ts';

export type ReportRow = Omit<Selectable<Tables['health_reports']>, 'probes'> & { readonly probes: readonly ProbeRow[] };
export type NewReport = Omit<ReportRow, 'boot'> & { readonly boot: string };

export const saveReports = async (db: Kysely<Tables>, reports: readonly NewReport[]): Promise<void> => {
  if (reports.length === 0) return;
  await sql`
    insert into health_reports
      (host_id, reported_at, boot, interval_s, hosts, unreachable_hosts, endpoints, unreachable_endpoints,
       probes_total, unreachable_probes, probes)
    select r.* from jsonb_to_recordset(${JSON.stringify(reports)}::jsonb)
      as r (host_id text, reported_at timestamptz, boot bigint, interval_s integer, hosts integer,
            unreachable_hosts integer, endpoints integer, unreachable_endpoints integer, probes_total integer, unreachable_probes integer, probes jsonb)
    join hosts h on h.id = r.host_id
    order by r.host_id
    on conflict (host_id) do update set
      reported_at = excluded.reported_at, boot = excluded.boot, interval_s = excluded.interval_s, hosts = excluded.hosts,
      unreachable_hosts = excluded.unreachable_hosts, endpoints = excluded.endpoints,
      unreachable_endpoints = excluded.unreachable_endpoints, probes_total = excluded.probes_total,
      unreachable_probes = excluded.unreachable_probes, probes = excluded.probes
    where health_reports.reported_at <= excluded.reported_at`.execute(db);
};

export interface ReportFilter {
  readonly from?: string | undefined;
  /** Only of hosts to which some address does not answer. */
  readonly unreachable: boolean;
}

/** From host `from` on, that one included when `inclusive`. */
export const listReports = (
  db: Kysely<Tables>,
  { from, unreachable }: ReportFilter,
  after: string,
  inclusive: boolean,
  limit: number,
): Promise<ReportRow[]> =>
  db
    .selectFrom('health_reports')
    .selectAll()
    .where('host_id', inclusive ? '>=' : '>', after)
    .$if(from !== undefined, (query) => query.where('host_id', '=', from ?? ''))
    .$if(unreachable, (query) => query.where('unreachable_probes', '>', 0))
    .orderBy('host_id')
    .limit(limit)
    .execute() as Promise<ReportRow[]>;
