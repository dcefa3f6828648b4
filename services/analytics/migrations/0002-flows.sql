-- Flows as they were reported. Partitions are made ahead of time, get their filter indexes when they close and are
-- dropped whole; rows come by binary COPY only, and `ingested` is what keeps them unique.

create table flows (
  time timestamptz not null,
  boot bigint not null,
  seq bigint not null,
  connection_ns bigint not null,
  packets bigint not null,
  bytes bigint not null,
  host_id integer not null,
  source_identity integer not null,
  destination_identity integer not null,
  rule_id integer not null,
  workload_id integer not null,
  source_port integer not null,
  destination_port integer not null,
  detail integer not null,
  protocol smallint not null,
  verdict smallint not null,
  drop_reason smallint not null,
  source_ip inet not null,
  destination_ip inet not null
) partition by range (time);

-- The only index of the open partition: cheap to keep, and a reader walks back in time.
create index flows_time_brin on flows using brin (time) with (pages_per_range = 32, autosummarize = on);

comment on table flows is 'Read the view flow_records; this is its storage';
comment on column flows.time is 'Of the last packet counted, by the host''s clock; cut to what the store keeps';
comment on column flows.connection_ns is 'When conntrack made the connection''s entry, unix nanoseconds; 0: none';
comment on column flows.workload_id is 'Host-local number of the workload where it was seen';
comment on column flows.detail is 'Bits 0-15 TCP flags, or ICMP type << 8 | code; 16-20 trace point; 21-24 trace reason; 25-28 report; 29-30 direction; 31 reply';
