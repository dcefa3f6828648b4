-- The whole schema of analytics, as it is after all migrations: for reading. A test compares it with them.

create schema analytics;
set search_path = analytics;

-- Who sends flows, and which of their sequence numbers are stored.

create table hosts (
  id integer generated always as identity primary key,
  name text not null unique,
  first_seen_at timestamptz not null default now()
);
comment on table hosts is 'Hosts that were heard on the bus; id is the distribution column of every event table';

-- One run of a host''s agent. Sequence numbers count within a boot.
create table agents (
  host_id integer not null references hosts (id),
  boot bigint not null,
  first_seen_at timestamptz not null default now(),
  stored bigint not null default 0,
  committed_seq bigint,
  committed_at timestamptz,
  produced bigint not null default 0,
  lost_ring bigint not null default 0,
  lost_spool bigint not null default 0,
  published bigint not null default 0,
  next_seq bigint not null default 0,
  released_seq bigint not null default 0,
  reported_at timestamptz,
  lost_throttle bigint not null default 0,
  dead_letter bigint not null default 0,
  spool_gone boolean not null default false,
  primary key (host_id, boot)
);
comment on column agents.boot is 'Start of the agent, unix milliseconds';
comment on column agents.stored is 'Rows stored, exactly';
comment on column agents.committed_seq is 'Everything up to here is stored or known to be lost';
comment on column agents.produced is 'From here on: what the agent''s last heartbeat said, since its boot';
comment on column agents.released_seq is 'Up to here the agent has let go of its copies';
comment on column agents.dead_letter is 'Flows of messages that were set aside, each message counted once';
comment on column agents.spool_gone is 'A later run of this host has nothing of this one in its spool any more: what is not stored will not come';

-- The ledger that makes redelivery harmless: ranges of sequence numbers whose rows are stored, written in the
-- transaction that stores them. Neighbours are joined, so in the long run a boot has one row.
create table ingested (
  host_id integer not null,
  boot bigint not null,
  first_seq bigint not null,
  next_seq bigint not null,
  stored_at timestamptz not null default now(),
  primary key (host_id, boot, first_seq),
  foreign key (host_id, boot) references agents (host_id, boot) on delete cascade,
  check (next_seq > first_seq)
);
comment on column ingested.next_seq is 'One past the last';

-- Flows as they were reported. Partitions are made ahead of time, get their filter indexes when they close and are
-- dropped whole; rows come by binary COPY only, and `ingested` is what keeps them unique.

create table flow_owners (
  id bigint generated always as identity primary key,
  host_id integer not null references hosts (id),
  exec_ns bigint not null,
  pid integer not null,
  uid bigint not null,
  image text not null,
  unit text not null,
  unit_kind text not null,
  seen_at timestamptz not null default now(),
  unique (host_id, exec_ns, pid, uid)
);
create index flow_owners_image on flow_owners (image text_pattern_ops);
create index flow_owners_unit on flow_owners (unit text_pattern_ops);
create index flow_owners_seen on flow_owners (seen_at);
comment on table flow_owners is 'Processes that flows name; they go with the last flows that can';
comment on column flow_owners.uid is 'Effective; a process that changes its user has a row for each';
comment on column flow_owners.image is 'Path of its image; empty: not known';

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
  destination_ip inet not null,
  frontend integer not null default 0,
  pending integer not null default 0,
  source_xlated inet,
  owner bigint not null default 0
) partition by range (time);

-- The only index of the open partition: cheap to keep, and a reader walks back in time.
create index flows_time_brin on flows using brin (time) with (pages_per_range = 32, autosummarize = on);

comment on table flows is 'Read the view flow_records; this is its storage';
comment on column flows.time is 'Of the last packet counted, by the host''s clock; cut to what the store keeps';
comment on column flows.connection_ns is 'When conntrack made the connection''s entry, unix nanoseconds; 0: none';
comment on column flows.workload_id is 'Host-local number of the workload where it was seen';
comment on column flows.source_xlated is 'What the source becomes where packets leave the host; null: it stays, or was not known yet';
comment on column flows.detail is 'Bits 0-11 TCP flags, 12-14 point of a socket''s translation, or 0-15 ICMP type << 8 | code; 16-19 trace point; 20 encrypted; 21-24 trace reason; 25-28 report; 29-30 direction; 31 reply';
comment on column flows.frontend is 'Number of the frontend that the client of the connection asked for; 0: of none';
comment on column flows.pending is 'If staged policies were in place: 0 none are staged; n forwarded by rule n - 1; -n dropped by rule n - 1; rule 0 is none';
comment on column flows.owner is 'Of flow_owners: whose the socket was; 0: not known';

-- Flows of closed partitions added up by what tells them apart, so that whoever judges millions of them again reads
-- thousands of rows.
create table flow_groups (
  partition text not null,
  ends bigint not null,
  what bigint not null,
  source_ip inet,
  destination_ip inet,
  flows bigint not null,
  packets bigint not null,
  bytes bigint not null,
  last timestamptz not null
);
create index flow_groups_partition on flow_groups (partition);
comment on table flow_groups is 'Sums over whole partitions of flows; those of a partition count while flow_groups_done has it';
comment on column flow_groups.ends is 'Identity of the source << 32 | of the destination';
comment on column flow_groups.source_ip is 'Of an end outside of the fleet only, as destination_ip';

create table flow_groups_done (
  partition text primary key,
  format smallint not null,
  summed boolean not null,
  done_at timestamptz not null default now()
);
comment on table flow_groups_done is 'Partitions that were added up; a flow that comes later takes its partition out, in its own transaction';
comment on column flow_groups_done.summed is 'False: the groups are so many that the flows themselves are as good';

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

-- Names for the numbers in flows, taken from the signed configuration as it passes. Rows are never overwritten by a
-- new owner: what a number or an address meant at a time is the newest row that began before it.

create table config_documents (
  subject text primary key,
  epoch bigint not null,
  revision bigint not null,
  removed boolean not null default false
);
comment on table config_documents is 'Newest document seen per subject: an older one changes nothing';

create table identity_labels (
  identity integer not null,
  valid_from timestamptz not null,
  labels text[] not null,
  removed_at timestamptz,
  primary key (identity, valid_from)
);
create index identity_labels_labels on identity_labels using gin (labels);

create table workload_addresses (
  ip inet not null,
  valid_from timestamptz not null,
  workload_id text not null,
  name text not null,
  namespace text not null,
  host text not null,
  identity integer not null,
  removed_at timestamptz,
  primary key (ip, valid_from)
);
create index workload_addresses_workload on workload_addresses (workload_id);
create index workload_addresses_name on workload_addresses (name, namespace);

create table rules (
  id integer primary key,
  policy_key text not null,
  path text not null,
  policy_revision bigint not null,
  -- log.value of its policy
  log text not null default ''
);
comment on table rules is 'Of every policy revision seen, for ever: flows name the rule that decided them';

create table frontends (
  number integer primary key,
  namespace text not null,
  name text not null,
  type smallint not null,
  address text not null,
  port integer not null,
  protocol smallint not null
);
comment on table frontends is 'Of every service seen, for ever: flows of one that is gone still name it';
comment on column frontends.type is 'weir.bus.v1.FrontendType';
comment on column frontends.address is 'Empty: a node port, at every host';

-- Messages that can never be stored, with the reason, so that one of them does not stop the others.

create table dead_letters (
  id bigint generated always as identity primary key,
  received_at timestamptz not null default now(),
  host text,
  subject text not null,
  stream_seq bigint not null,
  message_id text not null,
  deliveries integer not null,
  reason text not null,
  payload bytea not null,
  unique (subject, stream_seq, message_id)
);
create index dead_letters_message on dead_letters (host, message_id);

-- What people and dashboards read.

create function labels_at(wanted integer, at timestamptz) returns text[] language sql stable return (
  select labels from identity_labels
  where identity = wanted
  order by valid_from <= at desc, case when valid_from <= at then valid_from end desc, valid_from
  limit 1
);
comment on function labels_at is 'Labels of an identity as of a time';

create function workload_at(wanted inet, at timestamptz) returns text language sql stable return (
  select namespace || '/' || name from workload_addresses
  where ip = wanted
  order by valid_from <= at desc, case when valid_from <= at then valid_from end desc, valid_from
  limit 1
);
comment on function workload_at is 'namespace/name of the workload that had an address at a time';

create function exec_id(host text, exec_ns bigint, pid integer) returns text language sql immutable return (
  replace(encode(convert_to(host || ':' || exec_ns || ':' || pid, 'UTF8'), 'base64'), chr(10), '')
);
comment on function exec_id is 'As events and other tools name a process';

create view flow_records as
select
  f.time,
  h.name as host,
  f.boot,
  f.seq,
  f.source_ip,
  f.source_port,
  f.source_identity,
  f.destination_ip,
  f.destination_port,
  f.destination_identity,
  f.protocol,
  case when f.protocol = 6 then f.detail & 255 end as tcp_flags,
  case when f.protocol in (1, 58) then f.detail >> 8 & 255 end as icmp_type,
  case when f.protocol in (1, 58) then f.detail & 255 end as icmp_code,
  (array['FORWARDED', 'DROPPED', 'ERROR', 'AUDIT', 'REDIRECTED', 'TRACED', 'TRANSLATED'])[f.verdict] as verdict,
  nullif(f.drop_reason, 0) as drop_reason,
  nullif(f.rule_id, 0) as rule_id,
  r.policy_key as policy,
  r.path as rule_path,
  (array['INGRESS', 'EGRESS'])[f.detail >> 29 & 3] as direction,
  f.detail < 0 as is_reply,
  (array['to-endpoint', 'to-stack', 'to-host', 'to-network', 'from-endpoint'])[f.detail >> 16 & 15] as trace_point,
  (array['NEW', 'ESTABLISHED', 'REPLY', 'RELATED'])[f.detail >> 21 & 15] as trace_reason,
  (array['FIRST', 'FLAGS', 'INTERVAL', 'CLOSE', 'EXPIRED', 'DROP'])[f.detail >> 25 & 15] as report,
  f.packets,
  f.bytes,
  f.connection_ns,
  f.workload_id,
  f.detail >> 20 & 1 = 1 as encrypted,
  nullif(f.frontend, 0) as frontend,
  s.namespace || '/' || s.name as service,
  (array[
    'NONE', 'CLUSTER_IP', 'NODE_PORT', 'EXTERNAL_IP', 'LOAD_BALANCER', 'HOST_PORT', 'LOCAL_REDIRECT'
  ])[s.type] as frontend_type,
  nullif(s.address, '')::inet as frontend_ip,
  s.port as frontend_port,
  case when f.pending > 0 then 'FORWARDED' when f.pending < 0 then 'DROPPED' end as pending_verdict,
  case when abs(f.pending) > 1 then abs(f.pending) - 1 end as pending_rule_id,
  p.policy_key as pending_policy,
  p.path as pending_rule_path,
  f.source_xlated,
  case when f.protocol not in (1, 58) then
    (array['PRE_DIRECTION_FWD', 'POST_DIRECTION_FWD', 'PRE_DIRECTION_REV', 'POST_DIRECTION_REV'])[f.detail >> 12 & 7]
  end as sock_xlate_point,
  case when f.owner <> 0 then exec_id(h.name, o.exec_ns, o.pid) end as exec_id,
  o.pid,
  o.uid,
  nullif(o.image, '') as binary_path,
  nullif(o.unit_kind, '') as unit_kind,
  nullif(o.unit, '') as unit
from flows f
join hosts h on h.id = f.host_id
left join rules r on r.id = f.rule_id
left join frontends s on s.number = f.frontend
left join rules p on p.id = abs(f.pending) - 1
left join flow_owners o on o.id = f.owner;
comment on view flow_records is 'One direction of a connection since its last report, seen at one workload. Give a time range: partitions are cut by time. Names: labels_at(identity, time), workload_at(ip, time)';

create view edge_records as
select
  e.minute,
  h.name as host,
  e.client_identity,
  e.server_identity,
  e.protocol,
  e.port,
  (array['FORWARDED', 'DROPPED', 'ERROR', 'AUDIT', 'REDIRECTED', 'TRACED', 'TRANSLATED'])[e.verdict] as verdict,
  (array['INGRESS', 'EGRESS'])[e.direction] as seen,
  e.connections,
  e.packets,
  e.bytes,
  e.reply_packets,
  e.reply_bytes,
  e.last_seen
from edges e
join hosts h on h.id = e.host_id;
comment on view edge_records is 'Traffic per minute between identities; a connection between two workloads is seen at both: filter on seen';

create view accounting as
select
  h.name as host,
  a.boot,
  a.produced,
  a.stored,
  a.lost_ring,
  a.lost_spool,
  a.committed_seq,
  a.committed_at,
  a.reported_at
from agents a
join hosts h on h.id = a.host_id;
comment on view accounting is 'Per run of an agent: produced = stored + lost_ring + lost_spool + what is on its way';

-- Where in a range the newest flow is. The open partition has only BRIN, which tells quickly that a range is empty
-- and finds one row of it, but cannot order: so look at wider and wider ranges, then halve.

create function newest_flow(low timestamptz, high timestamptz) returns timestamptz
language plpgsql stable
set enable_seqscan = off
set plan_cache_mode = force_custom_plan
as $$
declare
  width interval := interval '1 second';
  soon timestamptz := clock_timestamp() + interval '1 second';
  lo timestamptz;
  hi timestamptz := high;
  middle timestamptz;
begin
  if low < soon and soon < high and not exists (select from flows where time >= soon and time < high) then
    hi := soon;
  end if;
  while hi > low loop
    lo := greatest(low, hi - width);
    if exists (select from flows where time >= lo and time < hi) then
      while hi - lo > interval '10 milliseconds' loop
        middle := lo + (hi - lo) / 2;
        if exists (select from flows where time >= middle and time < hi) then
          lo := middle;
        else
          hi := middle;
        end if;
      end loop;
      return hi;
    end if;
    hi := lo;
    width := width * 2;
  end loop;
  return null;
end
$$;
comment on function newest_flow is 'A time, at most 10 ms too late, before which the newest flow of a range is; null when there is none';

-- Where events of a run are missing for good, because the agent's spool was full. Neighbours are joined where it is read.
create table losses (
  host_id integer not null,
  boot bigint not null,
  first_seq bigint not null,
  next_seq bigint not null,
  lost bigint not null,
  refused bigint not null,
  from_time timestamptz,
  to_time timestamptz,
  primary key (host_id, boot, first_seq),
  foreign key (host_id, boot) references agents (host_id, boot) on delete cascade,
  check (next_seq > first_seq and lost > 0 and refused between 0 and lost)
);
comment on column losses.lost is 'Events missing from first_seq up to next_seq; the others are stored';
comment on column losses.refused is 'How many of them were flows that had been refused';
comment on column losses.from_time is 'Of the oldest that is missing; null when not known';

-- How often each rule decided and when last. Rules are never renumbered, so one row each is all there will ever be.

create table rule_hits (
  rule_id integer primary key,
  first_hit timestamptz not null,
  last_hit timestamptz not null,
  hits bigint not null,
  packets bigint not null,
  bytes bigint not null
) with (fillfactor = 50);
comment on table rule_hits is 'How often each rule decided, for ever: written in the transaction that stores the flows, so never counted twice';
comment on column rule_hits.hits is 'Decisions: connections that were let through, packets that were refused';

-- Before that nobody counted: what was not hit since then may have been hit earlier.
create table rule_hits_since (
  one boolean primary key default true check (one),
  since timestamptz not null default now()
);
insert into rule_hits_since default values;

-- What processes of hosts did. Runs, ledger and losses are those of flows once more: each kind of event counts by itself.

create table process_agents (like agents including all);
alter table process_agents add foreign key (host_id) references hosts (id);
create table process_ingested (like ingested including all);
alter table process_ingested add foreign key (host_id, boot) references process_agents (host_id, boot) on delete cascade;
create table process_losses (like losses including all);
alter table process_losses add foreign key (host_id, boot) references process_agents (host_id, boot) on delete cascade;

create table process_events (
  time timestamptz not null,
  boot bigint not null,
  seq bigint not null,
  exec_ns bigint not null,
  parent_exec_ns bigint not null,
  host_id integer not null,
  pid integer not null,
  parent_pid integer not null,
  uid bigint not null,
  kind smallint not null,
  type integer not null,
  verdict smallint not null,
  binary_path text not null,
  arguments text not null,
  workload text not null,
  unit_kind text not null,
  unit text not null,
  policy text not null,
  event bytea not null
) partition by range (time);

create index process_events_time on process_events (time, host_id, boot, seq);
create index process_events_exec on process_events (host_id, exec_ns, pid);
create index process_events_parent on process_events (host_id, parent_exec_ns, parent_pid);

comment on table process_events is 'Read the view process_records; this is its storage';
comment on column process_events.time is 'By the host''s clock; cut to what the store keeps';
comment on column process_events.exec_ns is 'When its image began, or it was forked, nanoseconds since the host booted; with host and pid its exec id';
comment on column process_events.uid is 'Effective';
comment on column process_events.kind is '1 exec, 2 fork, 3 exit, 4 seen, 5 hook';
comment on column process_events.type is 'Of tetragon.EventType';
comment on column process_events.workload is 'Fleet-wide id; empty: of no workload';
comment on column process_events.event is 'All of it: weir.process.v1.ProcessEvent';

create view process_records as
select
  e.time,
  h.name as host,
  e.boot,
  e.seq,
  (array['EXEC', 'FORK', 'EXIT', 'SEEN', 'HOOK'])[e.kind] as kind,
  exec_id(h.name, e.exec_ns, e.pid) as exec_id,
  case when e.parent_exec_ns <> 0 then exec_id(h.name, e.parent_exec_ns, e.parent_pid) end as parent_exec_id,
  e.pid,
  e.parent_pid,
  e.uid,
  e.binary_path,
  e.arguments,
  nullif(e.workload, '') as workload,
  nullif(e.unit_kind, '') as unit_kind,
  nullif(e.unit, '') as unit,
  nullif(e.policy, '') as policy,
  (array['FORWARDED', 'DROPPED', 'ERROR', 'AUDIT'])[e.verdict] as verdict
from process_events e
join hosts h on h.id = e.host_id;
comment on view process_records is 'What processes did: begin an image, fork, end, what a runtime policy looks at. Give a time range: partitions are cut by time';
