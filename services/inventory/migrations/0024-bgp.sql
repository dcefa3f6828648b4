-- What hosts tell routers by BGP: a kind of object of its own, and what hosts say of their sessions.
alter table fleet_objects drop constraint fleet_objects_kind_check;
alter table fleet_objects add constraint fleet_objects_kind_check
  check (kind in ('network', 'egressGateway', 'prefilter', 'l2Announcement', 'bgpInstance'));
-- Of hosts that have sessions to speak of; the newest report each.
create table bgp_states (
  host_id text primary key references hosts (id) on delete cascade,
  reported_at timestamptz not null,
  -- In the shape of the REST API: one element a session.
  peers jsonb not null
);
