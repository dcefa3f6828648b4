-- The whole schema of the policy service as migrations/ make it; a test compares the two.

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
  -- who made it and why, as the caller said
  author text,
  reason text,
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
  action text not null check (action in ('allow', 'deny', 'pass')),
  description text,
  -- in its file, else in the text as it was applied, from 1
  line_number integer,
  column_number integer,
  -- as whoever applied it called it; null: it came without
  file text,
  unique (key, policy_revision, path),
  foreign key (key, policy_revision) references policy_revisions (key, policy_revision)
);

-- What each host last said of what stands in its kernel.
create table host_acks (
  host text primary key,
  boot bigint not null,
  -- newest revision of this service that is wholly realised
  realised bigint not null,
  -- [{subject, revision, code, message}]
  errors jsonb not null default '[]',
  -- when the broker stored it
  acked_at timestamptz not null,
  -- newest revision of this service that the host tried: what it says of errors holds up to there; null: it did not tell
  tried bigint,
  -- what it does about each runtime policy: [{subject, revision, state, hooks}]
  runtime jsonb not null default '[]'
);

-- The way of a revision from the request to each host's kernel. Microseconds since 1970, each by the clock of its place.
create table revision_stages (
  revision bigint primary key,
  -- W3C trace id of the request; the spans that were exported have the same
  trace_id text,
  received_us bigint not null,
  committed_us bigint,
  -- the broker acknowledged it
  published_us bigint
);

create table host_stages (
  revision bigint not null references revision_stages (revision) on delete cascade,
  host text not null,
  -- by the host's clock
  received_us bigint not null,
  started_us bigint not null,
  compiled_us bigint not null,
  written_us bigint not null,
  -- the broker stored the ack, by its clock
  acknowledged_us bigint not null,
  primary key (revision, host)
);

-- Answers to changes that carried an Idempotency-Key, for a day: asked again, they are given again.
create table idempotency_keys (
  key text primary key,
  -- SHA-256 of what was asked
  fingerprint bytea not null,
  -- node:v8 serialize() of the answer
  answer bytea not null,
  created_at timestamptz not null default now()
);
create index idempotency_keys_created on idempotency_keys (created_at);

-- What changed, in order, for those who follow along; see GET /v1/changes.
create table change_head (
  one boolean primary key default true check (one),
  position bigint not null default 0 check (position >= 0)
);
insert into change_head default values;

create table changes (
  position bigint primary key,
  kind text not null,
  key text not null,
  what text not null check (what in ('written', 'removed', 'status')),
  -- of the configuration document; null: the change made none
  revision bigint,
  made_at timestamptz not null default now()
);
-- Of what an object's host says of it only the newest counts.
create unique index changes_status on changes (kind, key) where what = 'status';

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
