-- One frontend belongs to one service; a redirect may lie over it, and only one does.
drop index service_frontends_external;
drop index service_frontends_internal;
create unique index service_frontends_external on service_frontends (address, port, protocol)
  where scope <> 'internal' and type <> 'local-redirect';
create unique index service_frontends_internal on service_frontends (address, port, protocol)
  where scope <> 'external' and type <> 'local-redirect';
create unique index service_frontends_redirect on service_frontends (address, port, protocol)
  where type = 'local-redirect';
-- A redirect may name a service in place of an address.
update services set spec = spec || jsonb_build_object('skip_redirect_from_backends', false, 'frontends',
  (select jsonb_agg('{"service": ""}'::jsonb || f.one order by f.place)
    from jsonb_array_elements(spec->'frontends') with ordinality as f (one, place)));
