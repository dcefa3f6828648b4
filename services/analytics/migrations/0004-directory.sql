-- Names for the numbers in flows, taken from the signed configuration as it passes. Rows are never overwritten by a
-- new owner: what a number or an address meant at a time is the newest row that began before it.

create table config_documents (
  subject text primary key,
  epoch bigint not null,
  revision bigint not null,
  removed boolean not null default false
);
comment on table config_documents is 'Newest document seen per subject: an older one changes nothing';

create table identity_labels (
  identity integer not null,
  valid_from timestamptz not null,
  labels text[] not null,
  removed_at timestamptz,
  primary key (identity, valid_from)
);
create index identity_labels_labels on identity_labels using gin (labels);

create table workload_addresses (
  ip inet not null,
  valid_from timestamptz not null,
  workload_id text not null,
  name text not null,
  namespace text not null,
  host text not null,
  identity integer not null,
  removed_at timestamptz,
  primary key (ip, valid_from)
);
create index workload_addresses_workload on workload_addresses (workload_id);
create index workload_addresses_name on workload_addresses (name, namespace);

create table rules (
  id integer primary key,
  policy_key text not null,
  path text not null,
  policy_revision bigint not null
);
comment on table rules is 'Of every policy revision seen, for ever: flows name the rule that decided them';
