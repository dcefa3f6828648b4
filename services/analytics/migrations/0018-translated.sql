-- What addresses of a flow become on the way: its source where it leaves the host, and where a socket was sent.

alter table flows add column source_xlated inet;
comment on column flows.source_xlated is 'What the source becomes where packets leave the host; null: it stays, or was not known yet';
comment on column flows.detail is 'Bits 0-11 TCP flags, 12-14 point of a socket''s translation, or 0-15 ICMP type << 8 | code; 16-19 trace point; 20 encrypted; 21-24 trace reason; 25-28 report; 29-30 direction; 31 reply';

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
  end as sock_xlate_point
from flows f
join hosts h on h.id = f.host_id
left join rules r on r.id = f.rule_id
left join frontends s on s.number = f.frontend
left join rules p on p.id = abs(f.pending) - 1;
