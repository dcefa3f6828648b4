-- Rules of the tiers may leave it to the next one.
alter table rules drop constraint rules_action_check;
alter table rules add constraint rules_action_check check (action in ('allow', 'deny', 'pass'));
