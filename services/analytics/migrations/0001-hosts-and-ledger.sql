-- Who sends flows, and which of their sequence numbers are stored.

create table hosts (
  id integer generated always as identity primary key,
  name text not null unique,
  first_seen_at timestamptz not null default now()
);
comment on table hosts is 'Hosts that were heard on the bus; id is the distribution column of every event table';

-- One run of a host''s agent. Sequence numbers count within a boot.
create table agents (
  host_id integer not null references hosts (id),
  boot bigint not null,
  first_seen_at timestamptz not null default now(),
  stored bigint not null default 0,
  committed_seq bigint,
  committed_at timestamptz,
  produced bigint not null default 0,
  lost_ring bigint not null default 0,
  lost_spool bigint not null default 0,
  published bigint not null default 0,
  next_seq bigint not null default 0,
  released_seq bigint not null default 0,
  reported_at timestamptz,
  primary key (host_id, boot)
);
comment on column agents.boot is 'Start of the agent, unix milliseconds';
comment on column agents.stored is 'Rows stored, exactly';
comment on column agents.committed_seq is 'Everything up to here is stored or known to be lost';
comment on column agents.produced is 'From here on: what the agent''s last heartbeat said, since its boot';
comment on column agents.released_seq is 'Up to here the agent has let go of its copies';

-- The ledger that makes redelivery harmless: ranges of sequence numbers whose rows are stored, written in the
-- transaction that stores them. Neighbours are joined, so in the long run a boot has one row.
create table ingested (
  host_id integer not null,
  boot bigint not null,
  first_seq bigint not null,
  next_seq bigint not null,
  stored_at timestamptz not null default now(),
  primary key (host_id, boot, first_seq),
  foreign key (host_id, boot) references agents (host_id, boot) on delete cascade,
  check (next_seq > first_seq)
);
comment on column ingested.next_seq is 'One past the last';
