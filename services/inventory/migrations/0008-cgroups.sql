-- Where a workload's processes are, below the cgroup2 mount of its host; empty: unknown.
alter table workloads add column cgroup text not null default '';
