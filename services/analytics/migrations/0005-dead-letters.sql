-- Messages that can never be stored, with the reason, so that one of them does not stop the others.

create table dead_letters (
  id bigint generated always as identity primary key,
  received_at timestamptz not null default now(),
  host text,
  subject text not null,
  stream_seq bigint not null,
  message_id text not null,
  deliveries integer not null,
  reason text not null,
  payload bytea not null,
  unique (subject, stream_seq, message_id)
);
