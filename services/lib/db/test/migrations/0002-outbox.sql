create table outbox (
  revision bigint generated always as identity primary key,
  subject text not null,
  body bytea not null,
  headers jsonb not null default '{}',
  created_at timestamptz not null default now()
);
