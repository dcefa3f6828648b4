-- What changed, in order, for those who follow along; see GET /v1/changes.
create table change_head (
  one boolean primary key default true check (one),
  position bigint not null default 0 check (position >= 0)
);
insert into change_head default values;

create table changes (
  position bigint primary key,
  kind text not null,
  key text not null,
  what text not null check (what in ('written', 'removed', 'status')),
  -- of the configuration document; null: the change made none
  revision bigint,
  made_at timestamptz not null default now()
);
-- Of what an object's host says of it only the newest counts.
create unique index changes_status on changes (kind, key) where what = 'status';
