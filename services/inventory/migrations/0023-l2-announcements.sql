-- Addresses of services that hosts answer for on their own networks: a kind of object of its own.
alter table fleet_objects drop constraint fleet_objects_kind_check;
alter table fleet_objects add constraint fleet_objects_kind_check
  check (kind in ('network', 'egressGateway', 'prefilter', 'l2Announcement'));
