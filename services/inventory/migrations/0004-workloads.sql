create table workloads (
  -- namespace.name
  id text primary key,
  namespace text not null references namespaces (name),
  name text not null,
  host_id text not null references hosts (id),
  labels jsonb not null default '{}',
  identity integer not null references identities (identity),
  ip4 inet not null unique,
  ip6 inet not null unique,
  netns text not null default '',
  -- [{name, port, protocol}]
  ports jsonb not null default '[]',
  revision bigint not null,
  created_at timestamptz not null default now(),
  unique (namespace, name)
);
create index workloads_host on workloads (host_id);
create index workloads_identity on workloads (identity);
create index workloads_labels on workloads using gin (labels);

-- What its host's agent last said of a workload.
create table workload_status (
  workload_id text primary key references workloads (id) on delete cascade,
  state text not null,
  message text not null default '',
  local_id integer not null default 0,
  policy_enabled text not null default 'none',
  policy_entries integer not null default 0,
  seen_at timestamptz not null default now()
);

-- Addresses given back: not given out again until they have cooled down, so that nobody's stale
-- rule or cache meets a new owner.
create table released_addresses (
  address inet primary key,
  released_at timestamptz not null default now()
);
