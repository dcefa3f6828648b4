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
