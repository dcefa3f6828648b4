-- With which identity the host has the workload: ready as something else is not ready. Null: the agent did not say.
alter table workload_status add column identity integer;
