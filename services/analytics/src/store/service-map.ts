// SPDX-License-Identifier: Apache-2.0
/** Who talks to whom, from the sums per minute. */
import type pg from 'pg';
import { FIRST_LOCAL, isWorkload, WORLD } from '../domain/identities.ts';

export interface MapEdge {
  readonly source: number;
  readonly destination: number;
  readonly protocol: number;
  readonly port: number;
  readonly verdict: number;
  readonly connections: number;
  readonly packets: number;
  readonly bytes: number;
  readonly replyPackets: number;
  readonly replyBytes: number;
  readonly lastSeen: Date;
}

export interface MapRequest {
  readonly sinceUs: number;
  readonly untilUs: number;
  /** Only edges that begin or end at one of these. */
  readonly identities?: readonly number[];
}

/** As many as a page can draw and a client can hold; the busiest ones come first. */
export const EDGES_MAX = 5_000;
const DROPPED = 2;
const ERROR = 3;
const INGRESS = 1;

interface Row extends Omit<MapEdge, 'connections' | 'packets' | 'bytes' | 'replyPackets' | 'replyBytes'> {
  readonly direction: number;
  readonly connections: string;
  readonly packets: string;
  readonly bytes: string;
  readonly reply_packets: string;
  readonly reply_bytes: string;
  readonly last_seen: Date;
}

/**
 * A connection between two workloads is reported at both ends. What went through counts where it arrived; what was
 * refused counts wherever that was, since it was refused once.
 */
const countsOnce = (rows: readonly Row[]): Row[] => {
  const seenAtServer = new Set(rows.filter(({ direction }) => direction === INGRESS).map(keyOf));
  return rows.filter((row) => {
    if (row.verdict === DROPPED || row.verdict === ERROR || row.direction === INGRESS) return true;
    return !(isWorkload(row.destination) && seenAtServer.has(keyOf(row)));
  });
};

const keyOf = ({ source, destination, protocol, port, verdict }: Row): string =>
  `${source}:${destination}:${protocol}:${port}:${verdict}`;

/** Edges of the whole minutes that touch the range, busiest first. */
export const readServiceMap = async (
  pool: pg.Pool,
  { sinceUs, untilUs, identities }: MapRequest,
): Promise<{ readonly edges: readonly MapEdge[]; readonly truncated: boolean }> => {
  // Identities of CIDRs mean something on one host only: on the map they are the world.
  const global = (column: string): string => `case when ${column} >= ${FIRST_LOCAL} then ${WORLD} else ${column} end`;
  const { rows } = await pool.query<Row>(
    `select * from (
       select ${global('client_identity')} as source, ${global('server_identity')} as destination,
              protocol, port, verdict, direction,
              sum(connections) as connections, sum(packets) as packets, sum(bytes) as bytes,
              sum(reply_packets) as reply_packets, sum(reply_bytes) as reply_bytes, max(last_seen) as last_seen
         from edges
        where minute >= date_trunc('minute', to_timestamp($1::float8)) and minute < to_timestamp($2::float8)
          and last_seen >= to_timestamp($1::float8)
        group by 1, 2, 3, 4, 5, 6) as e
      where $3::int4[] is null or source = any($3) or destination = any($3)
      order by packets + reply_packets desc
      limit ${EDGES_MAX * 2 + 1}`,
    [sinceUs / 1e6, untilUs / 1e6, identities ?? null],
  );
  const merged = new Map<string, MapEdge>();
  for (const row of countsOnce(rows)) {
    const known = merged.get(keyOf(row));
    const { source, destination, protocol, port, verdict } = row;
    merged.set(keyOf(row), {
      source,
      destination,
      protocol,
      port,
      verdict,
      connections: (known?.connections ?? 0) + Number(row.connections),
      packets: (known?.packets ?? 0) + Number(row.packets),
      bytes: (known?.bytes ?? 0) + Number(row.bytes),
      replyPackets: (known?.replyPackets ?? 0) + Number(row.reply_packets),
      replyBytes: (known?.replyBytes ?? 0) + Number(row.reply_bytes),
      lastSeen: known && known.lastSeen > row.last_seen ? known.lastSeen : row.last_seen,
    });
  }
  const edges = [...merged.values()];
  return { edges: edges.slice(0, EDGES_MAX), truncated: edges.length > EDGES_MAX };
};
