-- The whole schema of inventory as the migrations make it, for reading. A test compares the two.

-- The bus's tables (services/lib/bus): what is published, what waits to be.
create table bus_publisher (
  one boolean primary key default true check (one),
  epoch bigint not null default 1 check (epoch > 0),
  revision bigint not null default 0 check (revision >= 0)
);

create table bus_outbox (
  revision bigint primary key,
  epoch bigint not null,
  subject text not null,
  -- serialized weir.bus.v1.ConfigDocument, not signed yet
  document bytea not null,
  removed boolean not null,
  trace jsonb not null default '{}',
  created_at timestamptz not null default now()
);

create table bus_document (
  subject text primary key,
  epoch bigint not null,
  revision bigint not null,
  document bytea not null
);

-- Machines that run an agent. id is the DNS label by which people know them.
create table hosts (
  id text primary key,
  labels jsonb not null default '{}',
  -- Two hosts under one address: what is meant for one would reach the other.
  underlay_ip4 inet unique,
  underlay_ip6 inet unique,
  -- Of its configuration document.
  revision bigint not null,
  created_at timestamptz not null default now(),
  -- Public key that the host's agent made, base64; empty: it encrypts nothing. Two hosts with one key would take each
  -- other's packets.
  wireguard_key text not null default ''
);
create unique index hosts_wireguard_key on hosts (wireguard_key) where wireguard_key <> '';

-- What a host says of itself, apart from what it is configured to be: written every few seconds.
create table host_status (
  host_id text primary key references hosts (id) on delete cascade,
  last_seen_at timestamptz not null,
  boot bigint not null,
  version text not null default '',
  kernel text not null default '',
  -- publisher -> revision
  realised jsonb not null default '{}',
  workloads_ready integer not null default 0,
  workloads_total integer not null default 0,
  flows jsonb not null default '{}',
  counters jsonb not null default '{}',
  features text[] not null default '{}',
  -- it was noted in the log of changes that nothing is heard of the host any more
  stale boolean not null default false,
  -- by what egress limits hold, and why: edt, token-bucket; empty: no workload has one
  egress_limiter text not null default '',
  egress_limiter_reason text not null default ''
);

-- Pools of addresses, cut into blocks; a host holds blocks and gives their addresses to its workloads.
create table pools (
  name text primary key,
  -- Prefix lengths of blocks.
  block_bits4 integer not null check (block_bits4 between 8 and 29),
  block_bits6 integer not null check (block_bits6 between 32 and 125),
  -- Rises with each change; no document. 0: `default` as the service's settings made it.
  revision bigint not null default 0,
  created_at timestamptz not null default now()
);
create table pool_cidrs (
  cidr cidr primary key,
  pool text not null references pools (name) on delete cascade,
  constraint pool_cidrs_apart exclude using gist ((cidr::inet) inet_ops with &&)
);
create table blocks (
  cidr cidr primary key,
  pool text not null references pools (name),
  -- Of pool_cidrs, and which block of it; null until the service has sorted in what an earlier version left.
  base cidr,
  index bigint not null check (index >= 0),
  -- Null: given back, at rest.
  host_id text references hosts (id),
  -- Addresses of it that workloads have.
  used integer not null default 0 check (used >= 0),
  -- Where the search for a free address goes on (next fit), so that addresses are not reused at once.
  next bigint not null default 0,
  -- When an address or the block itself was given or given back.
  changed_at timestamptz not null default now(),
  unique (base, index),
  constraint blocks_apart exclude using gist ((cidr::inet) inet_ops with &&)
);
create index blocks_host on blocks (host_id);

-- Addresses kept for one workload, whether it exists or not.
create table reservations (
  address inet primary key,
  -- namespace.name
  workload text not null,
  revision bigint not null default 1,
  created_at timestamptz not null default now()
);
create index reservations_workload on reservations (workload);

-- A number for each set of security labels, the same in the whole fleet. Rows are never changed, and kept when no
-- workload has them any more: flows of the past name them.
create table identities (
  identity integer primary key check (identity between 256 and 65535),
  -- Sorted, with sources: k8s:app=web
  labels text[] not null,
  created_at timestamptz not null default now(),
  -- SHA-256 over the labels, each ended by a newline: a set is larger than an index row may be.
  labels_hash bytea not null unique
);

-- Their labels are part of the identity of the workloads in them. `default` always exists.
create table namespaces (
  name text primary key,
  labels jsonb not null default '{}',
  -- Rises with each change; no document.
  revision bigint not null default 0,
  created_at timestamptz not null default now()
);

create table workloads (
  -- namespace.name
  id text primary key,
  namespace text not null references namespaces (name),
  name text not null,
  host_id text not null references hosts (id),
  labels jsonb not null default '{}',
  identity integer not null references identities (identity),
  ip4 inet unique,
  ip6 inet unique,
  netns text not null default '',
  -- [{name, port, protocol}]
  ports jsonb not null default '[]',
  -- Of its configuration document.
  revision bigint not null,
  created_at timestamptz not null default now(),
  -- Where its processes are, below the cgroup2 mount of its host; empty: unknown.
  cgroup text not null default '',
  pool text not null default 'default' references pools (name),
  -- Bits per second that it may send and receive; 0: no limit.
  egress_bandwidth bigint not null default 0 check (egress_bandwidth >= 0),
  ingress_bandwidth bigint not null default 0 check (ingress_bandwidth >= 0),
  -- Whether the host drops what the workload sends from an address or MAC that is not its own.
  source_check boolean not null default true,
  -- It is its cgroup, with the addresses of its host and none of its own.
  host_network boolean not null default false,
  unique (namespace, name),
  constraint workloads_some_address check (host_network = (ip4 is null and ip6 is null))
);
-- A process is of one workload.
create unique index workloads_host_cgroup on workloads (host_id, cgroup) where host_network;
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
  seen_at timestamptz not null default now(),
  -- With which identity the host has it: ready as something else is not ready. Null: the agent did not say.
  identity integer
);

-- Addresses given back: not given out again until they have cooled down, so that nobody's stale
-- rule or cache meets a new owner.
create table released_addresses (
  address inet primary key,
  released_at timestamptz not null default now(),
  -- Of the workload that had it, and in which hosts hear that it is gone. Null in rows of before.
  identity integer,
  revision bigint
);

-- Answers to changes that carried an Idempotency-Key, for a day: asked again, they are given again.
create table idempotency_keys (
  key text primary key,
  -- SHA-256 of what was asked
  fingerprint bytea not null,
  -- node:v8 serialize() of the answer
  answer bytea not null,
  created_at timestamptz not null default now()
);
create index idempotency_keys_created on idempotency_keys (created_at);

-- What people set for the fleet and hosts get as one document each: network (fleet), egress gateways, prefilters.
create table fleet_objects (
  kind text not null check (kind in ('network', 'egressGateway', 'prefilter', 'l2Announcement', 'bgpInstance')),
  name text not null,
  -- In the shape of the REST API, defaults filled in.
  spec jsonb not null,
  -- Of its configuration document; 0: never set.
  revision bigint not null,
  created_at timestamptz not null default now(),
  primary key (kind, name)
);

-- What changed, in order, for those who follow along; see GET /v1/changes.
create table change_head (
  one boolean primary key default true check (one),
  position bigint not null default 0 check (position >= 0)
);
insert into change_head default values;

create table changes (
  position bigint primary key,
  kind text not null,
  key text not null,
  what text not null check (what in ('written', 'removed', 'status')),
  -- of the configuration document; null: the change made none
  revision bigint,
  made_at timestamptz not null default now()
);
-- Of what an object's host says of it only the newest counts.
create unique index changes_status on changes (kind, key) where what = 'status';
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
  probes jsonb not null,
  -- Health endpoints of other hosts that were probed, and of them those of which no address answers.
  endpoints integer not null default 0,
  unreachable_endpoints integer not null default 0
);
create index health_reports_unreachable on health_reports (host_id) where unreachable_probes > 0;

-- Services: addresses under which backends are reached. Numbers are never used again, since flows of the past carry them.
create table services (
  -- namespace.name
  id text primary key,
  namespace text not null references namespaces (name),
  name text not null,
  number bigint not null generated always as identity unique check (number <= 4294967295),
  labels jsonb not null default '{}',
  -- In the shape of the REST API, defaults filled in.
  spec jsonb not null,
  -- match_labels of its selector as key=value; null: it selects nothing.
  selects text[],
  -- Of its configuration document.
  revision bigint not null,
  created_at timestamptz not null default now(),
  unique (namespace, name)
);
create index services_labels on services using gin (labels);
create index services_selects on services using gin (selects) where selects is not null;
-- Where hosts tell the health of a service.
create index services_health_port on services (((spec->>'health_check_node_port')::integer))
  where (spec->>'health_check_node_port')::integer <> 0;
-- Who redirects what is asked of a service is looked for whenever one changes; few services do.
create index services_redirecting on services (namespace) where spec->'frontends' @> '[{"type": "local-redirect"}]';

-- Of which services get addresses that they do not name.
create table lb_pools (
  name text primary key,
  -- In the shape of the REST API, defaults filled in.
  spec jsonb not null,
  -- Rises with each change; no document.
  revision bigint not null default 1,
  created_at timestamptz not null default now()
);
create table lb_blocks (
  pool text not null references lb_pools (name) on delete cascade,
  -- First and last address that is given.
  start inet not null,
  stop inet not null,
  primary key (pool, start)
);
create index lb_blocks_start on lb_blocks (start);

create table service_frontends (
  number bigint primary key generated always as identity check (number <= 4294967295),
  service_id text not null references services (id) on delete cascade,
  -- Which one of the specification's.
  position integer not null,
  type text not null,
  -- Null: a node port, or no address was free.
  address inet,
  port integer not null check (port between 1 and 65535),
  protocol text not null,
  -- external, internal; empty: both
  scope text not null default '',
  port_name text not null default '',
  -- Of which the address is; null: of none.
  pool text references lb_pools (name)
);
create index service_frontends_service on service_frontends (service_id);
create index service_frontends_pool on service_frontends (pool, address);
create index service_frontends_address on service_frontends (address);
create index service_frontends_pending on service_frontends (service_id) where address is null and type <> 'node-port';
-- One frontend belongs to one service; a redirect may lie over it, and only one does.
create unique index service_frontends_external on service_frontends (address, port, protocol)
  where scope <> 'internal' and type <> 'local-redirect';
create unique index service_frontends_internal on service_frontends (address, port, protocol)
  where scope <> 'external' and type <> 'local-redirect';
create unique index service_frontends_redirect on service_frontends (address, port, protocol)
  where type = 'local-redirect';
create unique index service_frontends_node_port on service_frontends (port, protocol) where type = 'node-port';

-- One number for an address, port and protocol in all services, kept when no service has it any more.
create table backend_numbers (
  number bigint primary key generated always as identity check (number <= 4294967295),
  address inet not null,
  port integer not null check (port between 1 and 65535),
  protocol text not null,
  unique (address, port, protocol)
);
create table service_backends (
  service_id text not null references services (id) on delete cascade,
  number bigint not null references backend_numbers (number),
  port_name text not null default '',
  weight integer not null check (weight between 0 and 65535),
  state text not null,
  -- Why it has that state.
  reason text not null default '',
  -- Null: given, not selected.
  workload_id text,
  host_id text,
  zone text not null default '',
  -- It has its state since.
  since timestamptz not null default now(),
  -- Host that asks it; empty: nobody can; null: its service has no health check.
  prober text,
  -- healthy, unhealthy; empty: nothing was said yet.
  verdict text not null default '',
  -- Of the last failure.
  verdict_reason text not null default '',
  -- Of the newest verdict of this prober: the boot of its agent, and its number.
  verdict_boot bigint not null default 0,
  verdict_sequence bigint not null default 0,
  -- Quarantined because of the verdict: the opposite one ends it.
  by_check boolean not null default false,
  -- Tenths of its weight that it gets: less than ten while it starts slowly, since then.
  share smallint not null default 10 check (share between 1 and 10),
  slow_since timestamptz,
  primary key (service_id, port_name, number)
);
create index service_backends_number on service_backends (number);
create index service_backends_prober on service_backends (prober) where prober is not null;
-- Another host stands in for the one that has it.
create index service_backends_stood_in on service_backends (host_id) where prober <> host_id;
create index service_backends_slow on service_backends (service_id) where slow_since is not null;
create index service_backends_workload on service_backends (workload_id) where workload_id is not null;
create index service_backends_host on service_backends (host_id) where host_id is not null;
-- Workloads that their hosts have not connected yet (operations/service-backends.ts).
create index service_backends_unconnected on service_backends (workload_id)
  where reason = 'its host has not connected it yet';

-- What hosts say of their BGP sessions: of those that have some, the newest report each.
create table bgp_states (
  host_id text primary key references hosts (id) on delete cascade,
  reported_at timestamptz not null,
  -- In the shape of the REST API: one element a session.
  peers jsonb not null
);

-- What clients asked of services on each host, as its agent told it last.
create table service_counts (
  host_id text primary key references hosts (id) on delete cascade,
  reported_at timestamptz not null,
  -- So many frontends with backends that it did not tell of.
  left_out integer not null,
  -- One element for each frontend and backend: [{"f": number, "b": number, ...}]
  counts jsonb not null
);

-- Hosts' own policies: what each says of its, and what happened to it. Events outlive what hosts remember.
create table host_firewalls (
  host_id text primary key references hosts (id) on delete cascade,
  state text not null,
  confirmed_by text not null,
  documents text[] not null,
  last_good text[] not null,
  -- by the host's clock; null: nothing ends
  until timestamptz,
  why text not null,
  changed_at timestamptz not null default now()
);
create table host_firewall_events (
  host_id text not null references hosts (id) on delete cascade,
  sequence bigint not null,
  -- by the host's clock: a host that lost its state counts from 1 again
  time_ms bigint not null,
  act text not null,
  by text not null,
  why text not null,
  documents text[] not null,
  primary key (host_id, time_ms, sequence)
);
create index host_firewall_events_newest on host_firewall_events (time_ms desc, host_id desc, sequence desc);
