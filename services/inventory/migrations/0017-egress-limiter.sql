alter table host_status
  -- by what egress limits hold, and why: edt, token-bucket; empty: no workload has one
  add column egress_limiter text not null default '',
  add column egress_limiter_reason text not null default '';
