alter table host_status
  -- it was noted in the log of changes that nothing is heard of the host any more
  add column stale boolean not null default false;
