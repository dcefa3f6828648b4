-- Health checks of backends: who asks them, what he found, and what became of it.
alter table service_backends
  -- It has its state since.
  add column since timestamptz not null default now(),
  -- Host that asks it; empty: nobody can; null: its service has no health check.
  add column prober text,
  -- healthy, unhealthy; empty: nothing was said yet.
  add column verdict text not null default '',
  -- Of the last failure.
  add column verdict_reason text not null default '',
  -- Of the newest verdict of this prober: the boot of its agent, and its number.
  add column verdict_boot bigint not null default 0,
  add column verdict_sequence bigint not null default 0,
  -- Quarantined because of the verdict: the opposite one ends it.
  add column by_check boolean not null default false,
  -- Tenths of its weight that it gets: less than ten while it starts slowly, since then.
  add column share smallint not null default 10 check (share between 1 and 10),
  add column slow_since timestamptz;
-- Where hosts tell the health of a service.
create index services_health_port on services (((spec->>'health_check_node_port')::integer))
  where (spec->>'health_check_node_port')::integer <> 0;
create index service_backends_number on service_backends (number);
create index service_backends_prober on service_backends (prober) where prober is not null;
-- Another host stands in for the one that has it.
create index service_backends_stood_in on service_backends (host_id) where prober <> host_id;
create index service_backends_slow on service_backends (service_id) where slow_since is not null;
