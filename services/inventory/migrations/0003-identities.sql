-- A number for each set of security labels, the same in the whole fleet (FNV would collide; the set itself is the key).
create table identities (
  identity integer primary key check (identity between 256 and 65535),
  -- Sorted, with sources: k8s:app=web
  labels text[] not null unique,
  created_at timestamptz not null default now()
);

create table namespaces (
  name text primary key,
  labels jsonb not null default '{}',
  revision bigint not null default 0,
  created_at timestamptz not null default now()
);
insert into namespaces (name) values ('default');
