-- newest revision of this service that the host tried: what it says of errors holds up to there; null: it did not tell
alter table host_acks add column tried bigint;
