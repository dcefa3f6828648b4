-- What becomes of every flow, by place: stored, lost in a ring buffer or a spool, set aside, or on its way.

alter table agents add column lost_throttle bigint not null default 0;
alter table agents add column dead_letter bigint not null default 0;
comment on column agents.dead_letter is 'Flows of messages that were set aside, each message counted once';
alter table agents add column spool_gone boolean not null default false;
comment on column agents.spool_gone is 'A later run of this host has nothing of this one in its spool any more: what is not stored will not come';

create index dead_letters_message on dead_letters (host, message_id);
