-- What flows say that a rule decided, as its policy's author wrote it.
alter table rules add column log text not null default '';
