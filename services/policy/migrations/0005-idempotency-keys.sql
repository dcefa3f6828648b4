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
