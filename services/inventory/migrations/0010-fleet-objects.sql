-- What people set for the fleet and hosts get as one document each: network (fleet), egress gateways, prefilters.
create table fleet_objects (
  kind text not null check (kind in ('network', 'egressGateway', 'prefilter')),
  name text not null,
  -- In the shape of the REST API, defaults filled in.
  spec jsonb not null,
  -- Of its configuration document; 0: never set.
  revision bigint not null,
  created_at timestamptz not null default now(),
  primary key (kind, name)
);
-- Always there, so that it can be locked: what workloads get depends on it.
insert into fleet_objects (kind, name, spec, revision) values ('network', 'fleet', '{}', 0);

-- Public key that the host's agent made, base64; empty: it encrypts nothing. Two hosts with one key would take each
-- other's packets.
alter table hosts add column wireguard_key text not null default '';
create unique index hosts_wireguard_key on hosts (wireguard_key) where wireguard_key <> '';
