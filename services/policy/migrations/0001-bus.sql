create table bus_publisher (
  one boolean primary key default true check (one),
  epoch bigint not null default 1 check (epoch > 0),
  revision bigint not null default 0 check (revision >= 0)
);
insert into bus_publisher default values;

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
