-- Whose an address was, and the revision in which hosts hear that it no longer is: until they have, nobody with another
-- identity gets it.
alter table released_addresses add column identity integer, add column revision bigint;
