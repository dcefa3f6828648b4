-- Policies about processes: documents in force, and every version there ever was.
create table runtime_policies (
  -- kind/namespace/name; '-' for the namespace of a cluster-wide policy
  key text primary key,
  kind text not null,
  namespace text not null,
  name text not null,
  policy_revision bigint not null check (policy_revision > 0),
  created_at timestamptz not null default now()
);

create table runtime_policy_revisions (
  key text not null,
  policy_revision bigint not null check (policy_revision > 0),
  -- of the fleet's configuration (bus_publisher)
  revision bigint not null unique,
  -- as written, the order of its fields kept; null for a removal
  document json,
  made_at timestamptz not null default now(),
  primary key (key, policy_revision)
);
alter table runtime_policies
  add foreign key (key, policy_revision) references runtime_policy_revisions (key, policy_revision);
