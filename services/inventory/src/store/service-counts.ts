// SPDX-License-Identifier: Apache-2.0
/** What clients asked of services: one row for each host that has something to tell, joined with names where it is read. */
import { type Kysely, sql } from 'kysely';
import type { Tables } from './tables.ts';

/** What the backend's number is of those that are gone. */
export const PAST_BACKENDS = 4_294_967_295;

/** Short names: there are many of them. Numbers that JSON would round are text. */
export interface CountRow {
  readonly f: number;
  readonly b: number;
  readonly c: string;
  readonly p: string;
  readonly y: string;
  readonly h: string;
  readonly m: string;
  readonly n: string;
  readonly d: string;
  readonly o: number;
}

export interface CountsOfHost {
  readonly host_id: string;
  readonly reported_at: Date;
  readonly left_out: number;
  readonly counts: readonly CountRow[];
}

export const saveServiceCounts = async (db: Kysely<Tables>, reports: readonly CountsOfHost[]): Promise<void> => {
  if (reports.length === 0) return;
  await sql`
    insert into service_counts (host_id, reported_at, left_out, counts)
    select r.* from jsonb_to_recordset(${JSON.stringify(reports)}::jsonb)
      as r (host_id text, reported_at timestamptz, left_out integer, counts jsonb)
    join hosts h on h.id = r.host_id
    order by r.host_id
    on conflict (host_id) do update set
      reported_at = excluded.reported_at, left_out = excluded.left_out, counts = excluded.counts
    where service_counts.reported_at <= excluded.reported_at`.execute(db);
};

export interface ServiceStatFilter {
  readonly service?: string | undefined;
  readonly host?: string | undefined;
  /** A row for each host, not one for all. */
  readonly byHost: boolean;
}

export interface ServiceStatRow {
  readonly service_id: string;
  readonly frontend: number;
  readonly type: string;
  readonly address: string | null;
  readonly port: number;
  readonly protocol: string;
  readonly backend: string;
  readonly backend_address: string | null;
  readonly backend_port: number | null;
  /** Empty: all hosts together. */
  readonly host_id: string;
  readonly hosts: number;
  readonly connections: string;
  readonly packets: string;
  readonly bytes: string;
  readonly flow_hits: string;
  readonly flow_misses: string;
  readonly no_backend: string;
  readonly denied: string;
  readonly open: string;
  readonly reported_at: Date;
}

export type ServiceStatPlace = readonly [service: string, frontend: number, backend: string, host: string];

export const listServiceStats = async (
  db: Kysely<Tables>,
  { service, host, byHost }: ServiceStatFilter,
  [afterService, afterFrontend, afterBackend, afterHost]: ServiceStatPlace,
  limit: number,
): Promise<ServiceStatRow[]> => {
  const { rows } = await sql<ServiceStatRow>`
    with told as (
      select f.service_id, f.number as frontend, f.type, host(f.address) as address, f.port, f.protocol,
        c.b as backend, case when ${byHost} then s.host_id else '' end as host_id, s.host_id as teller, s.reported_at,
        c.c, c.p, c.y, c.h, c.m, c.n, c.d, c.o
      from service_counts s
      cross join lateral jsonb_to_recordset(s.counts) as c (
        f bigint, b bigint, c numeric, p numeric, y numeric, h numeric, m numeric, n numeric, d numeric, o bigint)
      join service_frontends f on f.number = c.f
      where (${service ?? null}::text is null or f.service_id = ${service ?? null})
        and (${host ?? null}::text is null or s.host_id = ${host ?? null})
    )
    select t.service_id, t.frontend::float8 as frontend, t.type, t.address, t.port, t.protocol, t.backend::text as backend,
      host(b.address) as backend_address, b.port as backend_port, t.host_id, count(distinct t.teller)::integer as hosts,
      sum(t.c)::text as connections, sum(t.p)::text as packets, sum(t.y)::text as bytes, sum(t.h)::text as flow_hits,
      sum(t.m)::text as flow_misses, sum(t.n)::text as no_backend, sum(t.d)::text as denied, sum(t.o)::text as open,
      max(t.reported_at) as reported_at
    from told t left join backend_numbers b on b.number = t.backend
    where (t.service_id, t.frontend, t.backend, t.host_id)
      > (${afterService}, ${afterFrontend}::bigint, ${afterBackend}::bigint, ${afterHost})
    group by t.service_id, t.frontend, t.type, t.address, t.port, t.protocol, t.backend, b.address, b.port, t.host_id
    order by t.service_id, t.frontend, t.backend, t.host_id limit ${limit}`.execute(db);
  return rows;
};
