-- Documents in force.
create table policies (
  -- kind/namespace/name; '-' for the namespace of a cluster-wide policy
  key text primary key,
  kind text not null,
  namespace text not null,
  name text not null,
  policy_revision bigint not null check (policy_revision > 0),
  created_at timestamptz not null default now()
);
create index policies_kind on policies (kind, key);
create index policies_namespace on policies (namespace, key);

-- Every version there ever was, removals too: a rule seen long ago still names its document.
create table policy_revisions (
  key text not null,
  policy_revision bigint not null check (policy_revision > 0),
  -- of the fleet's configuration (bus_publisher)
  revision bigint not null unique,
  -- as written, the order of its fields kept; null for a removal
  document json,
  made_at timestamptz not null default now(),
  primary key (key, policy_revision)
);
alter table policies add foreign key (key, policy_revision) references policy_revisions (key, policy_revision);

-- One number for each rule of each version, what verdicts and flows carry. 0 is no rule.
create sequence rule_ids as integer;
create table rules (
  id integer primary key,
  key text not null,
  policy_revision bigint not null,
  path text not null,
  direction text not null check (direction in ('ingress', 'egress')),
  action text not null check (action in ('allow', 'deny')),
  description text,
  -- in the text as it was applied, from 1
  line_number integer,
  column_number integer,
  unique (key, policy_revision, path),
  foreign key (key, policy_revision) references policy_revisions (key, policy_revision)
);
