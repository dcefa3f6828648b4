-- What each host measured of the others in its last round of probes: one row a host, whatever the size of the fleet.
create table health_reports (
  host_id text primary key references hosts (id) on delete cascade,
  reported_at timestamptz not null,
  boot bigint not null,
  -- Seconds to its next round.
  interval_s integer not null,
  hosts integer not null,
  unreachable_hosts integer not null,
  probes_total integer not null,
  unreachable_probes integer not null,
  -- [{host, address, kind, latency_us, error, probed_ms, failures, target}]: all, or those without an answer and the slowest.
  probes jsonb not null
);
create index health_reports_unreachable on health_reports (host_id) where unreachable_probes > 0;
