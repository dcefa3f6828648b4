-- Where events of a run are missing for good, because the agent's spool was full. Neighbours are joined where it is read.
create table losses (
  host_id integer not null,
  boot bigint not null,
  first_seq bigint not null,
  next_seq bigint not null,
  lost bigint not null,
  refused bigint not null,
  from_time timestamptz,
  to_time timestamptz,
  primary key (host_id, boot, first_seq),
  foreign key (host_id, boot) references agents (host_id, boot) on delete cascade,
  check (next_seq > first_seq and lost > 0 and refused between 0 and lost)
);
comment on column losses.lost is 'Events missing from first_seq up to next_seq; the others are stored';
comment on column losses.refused is 'How many of them were flows that had been refused';
comment on column losses.from_time is 'Of the oldest that is missing; null when not known';
