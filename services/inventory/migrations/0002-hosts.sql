-- Machines that run an agent. id is the DNS label by which people know them.
create table hosts (
  id text primary key,
  labels jsonb not null default '{}',
  underlay_ip4 inet,
  underlay_ip6 inet,
  -- Fleet-wide number: which slice of the cluster pools is this host's.
  slot integer not null unique check (slot >= 0),
  pool4 cidr not null unique,
  pool6 cidr not null unique,
  -- Where the search for a free address goes on (next fit), so that addresses are not reused at once.
  next4 bigint not null default 0,
  next6 bigint not null default 0,
  revision bigint not null,
  created_at timestamptz not null default now()
);

-- What a host says of itself, apart from what it is configured to be: written every few seconds.
create table host_status (
  host_id text primary key references hosts (id) on delete cascade,
  last_seen_at timestamptz not null,
  boot bigint not null,
  version text not null default '',
  kernel text not null default '',
  realised jsonb not null default '{}',
  workloads_ready integer not null default 0,
  workloads_total integer not null default 0,
  flows jsonb not null default '{}',
  counters jsonb not null default '{}',
  features text[] not null default '{}'
);
