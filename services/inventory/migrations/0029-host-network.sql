-- A workload that is its cgroup has the addresses of its host, and none of its own.
alter table workloads add column host_network boolean not null default false;
alter table workloads drop constraint workloads_some_address;
alter table workloads add constraint workloads_some_address
  check (host_network = (ip4 is null and ip6 is null));
-- A process is of one workload.
create unique index workloads_host_cgroup on workloads (host_id, cgroup) where host_network;
