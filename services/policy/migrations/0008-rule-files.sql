-- The file that a rule's line is of, as whoever applied it called it; null: it came without.
alter table rules add column file text;
