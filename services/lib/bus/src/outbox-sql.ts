// SPDX-License-Identifier: Apache-2.0
/**
 * Tables of a publisher, part of its own schema: each publishing service carries this text as a migration, and
 * its test compares the two.
 *
 * bus_publisher  one row: epoch, and the revision given last. The row is locked from the moment a transaction takes
 *                a revision until it ends, so revisions become visible in their order and without a gap.
 * bus_outbox     documents that are committed and not yet published.
 * bus_document   what the fleet has been told and holds: the last published document of each subject.
 */
export const OUTBOX_SQL = `create table bus_publisher (
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
`;
