alter table things add column more text;
