-- Whose the socket of a flow was, at the workload where it was seen. One number in a row of flows stands for all of it.

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

alter table flows add column owner bigint not null default 0;
comment on column flows.owner is 'Of flow_owners: whose the socket was; 0: not known';

create or replace view flow_records as
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
