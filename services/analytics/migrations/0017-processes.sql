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

create function exec_id(host text, exec_ns bigint, pid integer) returns text language sql immutable return (
  replace(encode(convert_to(host || ':' || exec_ns || ':' || pid, 'UTF8'), 'base64'), chr(10), '')
);
comment on function exec_id is 'As events and other tools name a process';

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
