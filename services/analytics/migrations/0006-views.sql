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
  (array['to-endpoint', 'to-stack', 'to-host', 'to-network', 'from-endpoint'])[f.detail >> 16 & 31] as trace_point,
  (array['NEW', 'ESTABLISHED', 'REPLY', 'RELATED'])[f.detail >> 21 & 15] as trace_reason,
  (array['FIRST', 'FLAGS', 'INTERVAL', 'CLOSE', 'EXPIRED', 'DROP'])[f.detail >> 25 & 15] as report,
  f.packets,
  f.bytes,
  f.connection_ns,
  f.workload_id
from flows f
join hosts h on h.id = f.host_id
left join rules r on r.id = f.rule_id;
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
