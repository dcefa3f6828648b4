-- Who talked to whom, per minute: written in the transaction that stores the flows, so never counted twice. Kept
-- longer than the flows themselves. Client and server are those of the connection, whichever way a packet went.

create table edges (
  minute timestamptz not null,
  last_seen timestamptz not null,
  connections bigint not null,
  packets bigint not null,
  bytes bigint not null,
  reply_packets bigint not null,
  reply_bytes bigint not null,
  host_id integer not null,
  client_identity integer not null,
  server_identity integer not null,
  port integer not null,
  protocol smallint not null,
  verdict smallint not null,
  direction smallint not null,
  primary key (minute, host_id, client_identity, server_identity, protocol, port, verdict, direction)
) partition by range (minute);

comment on table edges is 'Flows per minute and edge; each connection is seen at its client (egress) and at its server (ingress)';
comment on column edges.connections is 'First reports that were not replies';
comment on column edges.port is 'Of the server; 0 for protocols without ports';
