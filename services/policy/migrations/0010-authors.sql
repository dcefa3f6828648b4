-- Who made a version, and why, as the caller said; null: nobody said.
alter table policy_revisions add column author text;
alter table policy_revisions add column reason text;
