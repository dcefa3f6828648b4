-- How often each rule decided and when last. Rules are never renumbered, so one row each is all there will ever be.

create table rule_hits (
  rule_id integer primary key,
  first_hit timestamptz not null,
  last_hit timestamptz not null,
  hits bigint not null,
  packets bigint not null,
  bytes bigint not null
) with (fillfactor = 50);
comment on table rule_hits is 'How often each rule decided, for ever: written in the transaction that stores the flows, so never counted twice';
comment on column rule_hits.hits is 'Decisions: connections that were let through, packets that were refused';

-- Before that nobody counted: what was not hit since then may have been hit earlier.
create table rule_hits_since (
  one boolean primary key default true check (one),
  since timestamptz not null default now()
);
insert into rule_hits_since default values;
