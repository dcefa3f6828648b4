// SPDX-License-Identifier: Apache-2.0
/** Adds a batch's sums to the edges of their minutes. */
import type pg from 'pg';
import type { EdgeColumns } from '../domain/edges.ts';

const US_PER_S = 1_000_000;

/** An array literal; the driver's own would look at each number as if it were text. */
const arrayText = (values: readonly number[]): string => `{${values.join()}}`;

/** Columns must come sorted by key: writers then wait for each other instead of ending in a deadlock. */
export const saveEdges = async (client: Pick<pg.ClientBase, 'query'>, edges: EdgeColumns): Promise<void> => {
  if (edges.minuteUs.length === 0) return;
  await client.query(
    `insert into edges as e (minute, host_id, client_identity, server_identity, protocol, port, verdict, direction,
                             connections, packets, bytes, reply_packets, reply_bytes, last_seen)
     select to_timestamp(minute_s), host_id, client, server, protocol, port, verdict, direction,
            connections, packets, bytes, reply_packets, reply_bytes, to_timestamp(last_s)
       from unnest($1::int8[], $2::int4[], $3::int4[], $4::int4[], $5::int2[], $6::int4[], $7::int2[], $8::int2[],
                   $9::int8[], $10::int8[], $11::int8[], $12::int8[], $13::int8[], $14::float8[])
         as new (minute_s, host_id, client, server, protocol, port, verdict, direction,
                 connections, packets, bytes, reply_packets, reply_bytes, last_s)
     on conflict (minute, host_id, client_identity, server_identity, protocol, port, verdict, direction) do update set
       connections = e.connections + excluded.connections,
       packets = e.packets + excluded.packets,
       bytes = e.bytes + excluded.bytes,
       reply_packets = e.reply_packets + excluded.reply_packets,
       reply_bytes = e.reply_bytes + excluded.reply_bytes,
       last_seen = greatest(e.last_seen, excluded.last_seen)`,
    [
      edges.minuteUs.map((us) => us / US_PER_S),
      edges.hostId,
      edges.client,
      edges.server,
      edges.protocol,
      edges.port,
      edges.verdict,
      edges.direction,
      edges.connections,
      edges.packets,
      edges.bytes,
      edges.replyPackets,
      edges.replyBytes,
      edges.lastSeenUs.map((us) => us / US_PER_S),
    ].map(arrayText),
  );
};
