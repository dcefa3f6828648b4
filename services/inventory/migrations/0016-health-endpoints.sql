-- Of the health endpoints of other hosts, as of the hosts: how many were probed, and of how many no address answers.
alter table health_reports
  add column endpoints integer not null default 0,
  add column unreachable_endpoints integer not null default 0;
