-- What each host last said of what stands in its kernel.
create table host_acks (
  host text primary key,
  boot bigint not null,
  -- newest revision of this service that is wholly realised
  realised bigint not null,
  -- [{subject, revision, code, message}]
  errors jsonb not null default '[]',
  -- when the broker stored it
  acked_at timestamptz not null
);
