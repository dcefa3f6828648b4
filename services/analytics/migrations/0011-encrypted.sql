-- Whether a flow was encrypted between the hosts: a bit of the trace point that no trace point has.

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
  f.detail >> 20 & 1 = 1 as encrypted
from flows f
join hosts h on h.id = f.host_id
left join rules r on r.id = f.rule_id;

comment on column flows.detail is 'Bits 0-15 TCP flags, or ICMP type << 8 | code; 16-19 trace point; 20 encrypted; 21-24 trace reason; 25-28 report; 29-30 direction; 31 reply';
