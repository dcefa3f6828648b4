-- Flows of closed partitions added up by what tells them apart, so that whoever judges millions of them again reads
-- thousands of rows.
create table flow_groups (
  partition text not null,
  ends bigint not null,
  what bigint not null,
  source_ip inet,
  destination_ip inet,
  flows bigint not null,
  packets bigint not null,
  bytes bigint not null,
  last timestamptz not null
);
create index flow_groups_partition on flow_groups (partition);
comment on table flow_groups is 'Sums over whole partitions of flows; those of a partition count while flow_groups_done has it';
comment on column flow_groups.ends is 'Identity of the source << 32 | of the destination';
comment on column flow_groups.source_ip is 'Of an end outside of the fleet only, as destination_ip';

create table flow_groups_done (
  partition text primary key,
  format smallint not null,
  summed boolean not null,
  done_at timestamptz not null default now()
);
comment on table flow_groups_done is 'Partitions that were added up; a flow that comes later takes its partition out, in its own transaction';
comment on column flow_groups_done.summed is 'False: the groups are so many that the flows themselves are as good';
