// SPDX-License-Identifier: Apache-2.0
/** What hosts say of their BGP sessions, one row for each host that has some. */
import { type Kysely, sql } from 'kysely';
import type { Tables } from './tables.ts';

export interface BgpFamilyRow {
  readonly family: string;
  readonly received: number;
  readonly advertised: number;
  readonly prefixes: readonly string[];
}

export interface BgpPeerRow {
  readonly instance: string;
  readonly peer: string;
  readonly address: string;
  readonly asn: number;
  readonly local_asn: number;
  readonly state: string;
  readonly since_ms: number;
  readonly error: string;
  readonly families: readonly BgpFamilyRow[];
}

export interface BgpReport {
  readonly host_id: string;
  readonly reported_at: Date;
  readonly peers: readonly BgpPeerRow[];
}

export const saveBgp = async (db: Kysely<Tables>, reports: readonly BgpReport[]): Promise<void> => {
  const silent = reports.filter(({ peers }) => peers.length === 0).map(({ host_id }) => host_id);
  const speaking = reports.filter(({ peers }) => peers.length > 0);
  if (silent.length > 0) await db.deleteFrom('bgp_states').where('host_id', 'in', silent).execute();
  if (speaking.length === 0) return;
  await sql`
    insert into bgp_states (host_id, reported_at, peers)
    select r.* from jsonb_to_recordset(${JSON.stringify(speaking)}::jsonb)
      as r (host_id text, reported_at timestamptz, peers jsonb)
    join hosts h on h.id = r.host_id
    order by r.host_id
    on conflict (host_id) do update set reported_at = excluded.reported_at, peers = excluded.peers
    where bgp_states.reported_at <= excluded.reported_at`.execute(db);
};

export interface BgpFilter {
  readonly host?: string | undefined;
  readonly instance?: string | undefined;
  readonly peer?: string | undefined;
}

export interface BgpPeerOfHost {
  readonly host_id: string;
  readonly reported_at: Date;
  /** Among those of its host, from 1. */
  readonly position: number;
  readonly peer: BgpPeerRow;
}

const wanted = ({ host, instance, peer }: BgpFilter) => sql`
  (${host ?? null}::text is null or s.host_id = ${host ?? null})
  and (${instance ?? null}::text is null or p.value->>'instance' = ${instance ?? null})
  and (${peer ?? null}::text is null or p.value->>'peer' = ${peer ?? null})`;

export const listBgpPeers = async (
  db: Kysely<Tables>,
  filter: BgpFilter,
  [host, position]: readonly [string, number],
  limit: number,
): Promise<BgpPeerOfHost[]> => {
  const { rows } = await sql<BgpPeerOfHost>`
    select s.host_id, s.reported_at, p.position::integer, p.value as peer
    from bgp_states s cross join lateral jsonb_array_elements(s.peers) with ordinality as p (value, position)
    where (s.host_id, p.position) > (${host}, ${position}::bigint) and ${wanted(filter)}
    order by s.host_id, p.position limit ${limit}`.execute(db);
  return rows;
};

export interface BgpRoute {
  readonly host_id: string;
  readonly position: number;
  readonly instance: string;
  readonly peer: string;
  readonly address: string;
  readonly prefix: string;
}

/** What is told to peers. */
export const listBgpRoutes = async (
  db: Kysely<Tables>,
  filter: BgpFilter,
  [host, position, prefix]: readonly [string, number, string],
  limit: number,
): Promise<BgpRoute[]> => {
  const { rows } = await sql<BgpRoute>`
    select s.host_id, p.position::integer, p.value->>'instance' as instance, p.value->>'peer' as peer,
      p.value->>'address' as address, r.prefix
    from bgp_states s
    cross join lateral jsonb_array_elements(s.peers) with ordinality as p (value, position)
    cross join lateral jsonb_array_elements(p.value->'families') as f (value)
    cross join lateral jsonb_array_elements_text(f.value->'prefixes') as r (prefix)
    where (s.host_id, p.position, r.prefix) > (${host}, ${position}::bigint, ${prefix}) and ${wanted(filter)}
    order by s.host_id, p.position, r.prefix limit ${limit}`.execute(db);
  return rows;
};
