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
-- One frontend belongs to one service.
create unique index service_frontends_external on service_frontends (address, port, protocol) where scope <> 'internal';
create unique index service_frontends_internal on service_frontends (address, port, protocol) where scope <> 'external';
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
  primary key (service_id, port_name, number)
);
create index service_backends_workload on service_backends (workload_id) where workload_id is not null;
create index service_backends_host on service_backends (host_id) where host_id is not null;
-- Workloads that their hosts have not connected yet (operations/service-backends.ts).
create index service_backends_unconnected on service_backends (workload_id)
  where reason = 'its host has not connected it yet';
