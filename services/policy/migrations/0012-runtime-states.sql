-- What each host does about each runtime policy, as it said last: [{subject, revision, state, hooks}].
alter table host_acks add column runtime jsonb not null default '[]';
