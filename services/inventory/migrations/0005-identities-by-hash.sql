-- A set of labels is larger than an index row may be (64 labels of up to 380 bytes): what is unique is its hash,
-- SHA-256 over the sorted labels, each ended by a newline.
alter table identities add column labels_hash bytea;
update identities set labels_hash = sha256(convert_to(array_to_string(labels, E'\n') || E'\n', 'UTF8'));
alter table identities alter column labels_hash set not null;
alter table identities add constraint identities_labels_hash_key unique (labels_hash);
alter table identities drop constraint identities_labels_key;
