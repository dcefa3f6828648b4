-- What clients asked of services on each host, as its agent told it last.
create table service_counts (
  host_id text primary key references hosts (id) on delete cascade,
  reported_at timestamptz not null,
  -- So many frontends with backends that it did not tell of.
  left_out integer not null,
  -- One element for each frontend and backend: [{"f": number, "b": number, ...}]
  counts jsonb not null
);
