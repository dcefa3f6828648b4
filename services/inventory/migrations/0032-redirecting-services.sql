-- Who redirects what is asked of a service is looked for whenever one changes; few services do.
create index services_redirecting on services (namespace) where spec->'frontends' @> '[{"type": "local-redirect"}]';
