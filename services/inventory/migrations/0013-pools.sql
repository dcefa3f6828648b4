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

-- What hosts had until now are their first blocks of the pool `default`.
insert into pools (name, block_bits4, block_bits6) values ('default', 24, 112);
insert into blocks (cidr, pool, index, host_id, used, next)
  select h.pool4, 'default', h.slot, h.id, (select count(*) from workloads w where w.ip4 << h.pool4), h.next4 from hosts h;
insert into blocks (cidr, pool, index, host_id, used, next)
  select h.pool6, 'default', h.slot, h.id, (select count(*) from workloads w where w.ip6 << h.pool6), h.next6 from hosts h;
alter table hosts drop column slot, drop column pool4, drop column pool6, drop column next4, drop column next6;

alter table workloads alter column ip4 drop not null, alter column ip6 drop not null;
alter table workloads add constraint workloads_some_address check (ip4 is not null or ip6 is not null);
alter table workloads add column pool text not null default 'default' references pools (name);
-- Bits per second that it may send and receive; 0: no limit.
alter table workloads add column egress_bandwidth bigint not null default 0 check (egress_bandwidth >= 0);
alter table workloads add column ingress_bandwidth bigint not null default 0 check (ingress_bandwidth >= 0);
