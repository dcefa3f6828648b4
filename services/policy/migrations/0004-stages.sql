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
