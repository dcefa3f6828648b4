-- Whether the host drops what the workload sends from an address or MAC that is not its own.
alter table workloads add column source_check boolean not null default true;
