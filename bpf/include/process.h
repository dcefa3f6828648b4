/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What is known of a task, and how it is told. */
#ifndef WEIR_PROCESS_H
#define WEIR_PROCESS_H

#include "process_maps.h"

#include <bpf/bpf_core_read.h>

#include "kernel_types.h"

const volatile __u64 process_cgroup DOC("only processes below this cgroup are told; its id; 0 = all") = 0;
const volatile __u32 process_cgroup_level DOC("depth of that cgroup; the root has 0") = 0;
const volatile __u32 process_args_bytes DOC("arguments are read up to here, bytes") = WEIR_PROCESS_CHUNK;
const volatile __u32 process_env_bytes DOC("environment is read up to here, bytes; 0 = not at all") = 0;
const volatile __u32 process_wakeup_bytes DOC(
	"the reader of process_events is woken up when so much waits; bytes") = WEIR_PROCESS_EVENTS_BYTES / 4;

#define PATH_ROOM (WEIR_PATH_BYTES + 256)
/* Binary, directory, less than one piece of arguments and of environment. */
#define DATA_ROOM (2 * WEIR_PATH_BYTES + 2 * WEIR_PROCESS_CHUNK)

struct process_scratch {
	struct process_event event;
	__u8 data[DATA_ROOM];
	struct process entry;
	__u8 path[PATH_ROOM];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, WEIR_PROCESS_EVENTS_BYTES);
} process_events SEC(".maps") DOC("events of processes; read by the agent");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct process_scratch);
} process_scratches SEC(".maps") DOC("where exec, fork and exit put their events together");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct process_scratch);
} process_seen_scratch SEC(".maps") DOC("where process_seen puts its events together; an agent runs it once, alone");

/*
 * Of programs at tracepoints, which run with preemption off (PREEMPT_RT aside). None of the three comes up inside another:
 * no exec, fork or exit is part of another one's, none is done by an interrupt, and a page that a program reads and that
 * is not there fails the read; nothing waits for it. An iterator can be preempted: process_seen has a scratch of its own.
 */
INLINE struct process_scratch *this_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&process_scratches, &zero);
}

/* One wake-up when a fill level is crossed, none per event: the reader polls every 20 ms. */
INLINE __u64 wake_up(void)
{
	__u64 waiting = bpf_ringbuf_query(&process_events, BPF_RB_AVAIL_DATA);
	bool crossed = waiting >= process_wakeup_bytes && waiting < process_wakeup_bytes + 2 * WEIR_PROCESS_CHUNK;

	return crossed ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

INLINE void send_event(struct process_scratch *scratch, __u8 kind, __u32 counter)
{
	struct process_event *event = &scratch->event;
	__u64 size = sizeof(*event) + event->data_length, wake;

	event->header.version = WEIR_ABI_VERSION;
	event->header.kind = kind;
	event->header.cpu = bpf_get_smp_processor_id();
	event->header.size = size;
	event->header.time_ns = bpf_ktime_get_ns();
	wake = wake_up();
	/* checked where it is used: 6.1 forgets what it knew of a number that was elsewhere in between */
	barrier_var(size);
	if (size > sizeof(*event) + DATA_ROOM)
		return;
	if (bpf_ringbuf_output(&process_events, event, size, wake))
		count_process(counter + PROCESS_COUNT_LOST_EXEC);
	else
		count_process(counter);
}

/* Whether this host tells of it: several agents of one machine have a cgroup each. */
INLINE bool is_ours(struct task_struct *task)
{
	struct cgroup *cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp), *ancestor = NULL;
	__u32 level = process_cgroup_level;

	if (!process_cgroup)
		return true;
	if (!cgroup || level >= WEIR_CGROUP_LEVELS || BPF_CORE_READ(cgroup, level) < (int)level)
		return false;
	bpf_probe_read_kernel(&ancestor, sizeof(ancestor),
		(void *)cgroup + bpf_core_field_offset(struct cgroup, ancestors) + level * sizeof(ancestor));
	return ancestor && BPF_CORE_READ(ancestor, kn, id) == process_cgroup;
}

INLINE __u32 own_pid(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level);
	__u32 nr = 0;

	bpf_probe_read_kernel(&nr, sizeof(nr),
		(void *)pid + bpf_core_field_offset(struct pid, numbers) + level * bpf_core_type_size(struct upid) +
			bpf_core_field_offset(struct upid, nr));
	return nr;
}

INLINE __u32 login_of(struct task_struct *task)
{
	return bpf_core_field_exists(task->loginuid) ? BPF_CORE_READ(task, loginuid.val) : (__u32)-1;
}

INLINE void tell_credentials(struct process_event *event, struct task_struct *task)
{
	const struct cred *cred = BPF_CORE_READ(task, cred);
	struct user_namespace *user = BPF_CORE_READ(cred, user_ns);

	event->uid = BPF_CORE_READ(cred, uid.val);
	event->gid = BPF_CORE_READ(cred, gid.val);
	event->euid = BPF_CORE_READ(cred, euid.val);
	event->egid = BPF_CORE_READ(cred, egid.val);
	event->suid = BPF_CORE_READ(cred, suid.val);
	event->sgid = BPF_CORE_READ(cred, sgid.val);
	event->fsuid = BPF_CORE_READ(cred, fsuid.val);
	event->fsgid = BPF_CORE_READ(cred, fsgid.val);
	event->securebits = BPF_CORE_READ(cred, securebits);
	bpf_core_read(&event->cap_permitted, sizeof(__u64), &cred->cap_permitted);
	bpf_core_read(&event->cap_effective, sizeof(__u64), &cred->cap_effective);
	bpf_core_read(&event->cap_inheritable, sizeof(__u64), &cred->cap_inheritable);
	event->auid = login_of(task);
	event->user_level = BPF_CORE_READ(user, level);
	event->ns_user = BPF_CORE_READ(user, ns.inum);
}

INLINE void tell_namespaces(struct process_event *event, struct task_struct *task)
{
	struct nsproxy *all = BPF_CORE_READ(task, nsproxy);
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct pid_namespace *pid_ns = NULL;

	/* a process that is ending has left them */
	event->ns_uts = all ? BPF_CORE_READ(all, uts_ns, ns.inum) : 0;
	event->ns_ipc = all ? BPF_CORE_READ(all, ipc_ns, ns.inum) : 0;
	event->ns_mnt = all ? BPF_CORE_READ(all, mnt_ns, ns.inum) : 0;
	event->ns_pid_for_children = all ? BPF_CORE_READ(all, pid_ns_for_children, ns.inum) : 0;
	event->ns_net = all ? BPF_CORE_READ(all, net_ns, ns.inum) : 0;
	event->ns_cgroup = all ? BPF_CORE_READ(all, cgroup_ns, ns.inum) : 0;
	event->ns_time = 0;
	event->ns_time_for_children = 0;
	if (all && bpf_core_field_exists(all->time_ns)) {
		event->ns_time = BPF_CORE_READ(all, time_ns, ns.inum);
		event->ns_time_for_children = BPF_CORE_READ(all, time_ns_for_children, ns.inum);
	}
	bpf_probe_read_kernel(&pid_ns, sizeof(pid_ns),
		(void *)pid + bpf_core_field_offset(struct pid, numbers) +
			BPF_CORE_READ(pid, level) * bpf_core_type_size(struct upid) +
			bpf_core_field_offset(struct upid, ns));
	event->ns_pid = BPF_CORE_READ(pid_ns, ns.inum);
}

/* All but paths, arguments, its parent and its name. */
INLINE void tell_task(struct process_event *event, struct task_struct *task)
{
	__builtin_memset(event, 0, sizeof(*event));
	event->pid = BPF_CORE_READ(task, tgid);
	event->tid = BPF_CORE_READ(task, pid);
	event->own_pid = own_pid(task);
	event->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	event->cgroup_id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	bpf_core_read(event->comm, sizeof(event->comm), &task->comm);
	tell_credentials(event, task);
	tell_namespaces(event, task);
}

#endif
