/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Whether filters hold for a call: of its process, and all of a selector. */
#ifndef WEIR_RUNTIME_MATCH_H
#define WEIR_RUNTIME_MATCH_H

#include "runtime_compare.h"

#define CGROUP_LEVELS 64

INLINE __u32 namespace_of(struct task_struct *task, __u32 slot)
{
	struct nsproxy *all = BPF_CORE_READ(task, nsproxy);
	struct pid *pid;
	struct pid_namespace *pid_ns = NULL;

	switch (slot) {
	case 0:
		return BPF_CORE_READ(all, uts_ns, ns.inum);
	case 1:
		return BPF_CORE_READ(all, ipc_ns, ns.inum);
	case 2:
		return BPF_CORE_READ(all, mnt_ns, ns.inum);
	case 3:
		pid = BPF_CORE_READ(task, thread_pid);
		bpf_probe_read_kernel(&pid_ns, sizeof(pid_ns),
			(void *)pid + bpf_core_field_offset(struct pid, numbers) +
				BPF_CORE_READ(pid, level) * bpf_core_type_size(struct upid) +
				bpf_core_field_offset(struct upid, ns));
		return BPF_CORE_READ(pid_ns, ns.inum);
	case 4:
		return BPF_CORE_READ(all, pid_ns_for_children, ns.inum);
	case 5:
		return BPF_CORE_READ(all, net_ns, ns.inum);
	case 6:
		return bpf_core_field_exists(all->time_ns) ? BPF_CORE_READ(all, time_ns, ns.inum) : 0;
	case 7:
		return bpf_core_field_exists(all->time_ns) ? BPF_CORE_READ(all, time_ns_for_children, ns.inum) : 0;
	case 8:
		return BPF_CORE_READ(all, cgroup_ns, ns.inum);
	default:
		return BPF_CORE_READ(task, cred, user_ns, ns.inum);
	}
}

VERIFIED_ONCE int match_namespace(struct runtime_filter *filter, __u64 whose)
{
	struct task_struct *task = (void *)whose;
	__u32 slot, number;

	if (!filter)
		return NOT_READ;
	slot = filter->slot;
	number = namespace_of(task, slot);
	if (slot >= RUNTIME_NAMESPACES)
		return NOT_READ;
	if ((filter->flags & RUNTIME_OF_HOST) && number == runtime_host_namespaces[slot])
		return 1;
	for (int i = 0; i < 4; i++)
		if (i < filter->values_count && filter->values[i] == number)
			return 1;
	return 0;
}

VERIFIED_ONCE int match_capability(struct runtime_filter *filter, __u64 whose)
{
	struct task_struct *task = (void *)whose;
	const struct cred *cred = BPF_CORE_READ(task, cred);
	__u64 held = 0;

	if (!filter)
		return NOT_READ;
	if (!(filter->flags & RUNTIME_NAMESPACED) && namespace_of(task, 9) != runtime_host_namespaces[9])
		return 0;
	if (filter->slot == 0)
		bpf_core_read(&held, sizeof(held), &cred->cap_effective);
	else if (filter->slot == 1)
		bpf_core_read(&held, sizeof(held), &cred->cap_inheritable);
	else
		bpf_core_read(&held, sizeof(held), &cred->cap_permitted);
	return (held & filter->values[0]) != 0;
}

struct ancestor_match {
	struct runtime_scratch *scratch;
	struct runtime_filter *filter;
	struct task_struct *task;
	__s32 found;
};

INLINE int match_pid_of(struct runtime_filter *filter, struct task_struct *task)
{
	__u32 pid = filter->flags & RUNTIME_NAMESPACED ? own_pid(task) : BPF_CORE_READ(task, tgid);

	for (int i = 0; i < 4; i++)
		if (i < filter->values_count && filter->values[i] == pid)
			return 1;
	return 0;
}

INLINE int match_binary_of(struct runtime_scratch *scratch, struct runtime_filter *filter, struct task_struct *task)
{
	__u32 pid = BPF_CORE_READ(task, tgid);
	struct process *process = bpf_map_lookup_elem(&processes, &pid);

	if (!process || process->binary_length == 0)
		return NOT_READ;
	if (process->binary_length < WEIR_BINARY_BYTES)
		return match_text(scratch, filter, process->binary, process->binary_length);
	/* only its beginning is known */
	return filter->comparison == RUNTIME_PREFIX
	               ? match_text(scratch, filter, process->binary, WEIR_BINARY_BYTES - 1)
	               : NOT_READ;
}

/* From a process up; a thread's parent is its process's. */
static long try_ancestor(__u32 index, void *context)
{
	struct ancestor_match *match = context;
	struct task_struct *task = match->task, *parent;
	int one;

	one = match->filter->kind == RUNTIME_FILTER_PID ? match_pid_of(match->filter, task)
	                                                : match_binary_of(match->scratch, match->filter, task);
	if (one == 1) {
		match->found = 1;
		return 1;
	}
	if (one == 0 && match->found == NOT_READ)
		match->found = 0;
	if (!(match->filter->flags & RUNTIME_FOLLOW))
		return 1;
	parent = BPF_CORE_READ(task, real_parent);
	if (!parent || parent == task || BPF_CORE_READ(parent, tgid) == 0)
		return 1;
	match->task = parent;
	return 0;
}

VERIFIED_ONCE int match_ancestors(struct runtime_scratch *scratch, struct runtime_filter *filter, __u64 whose)
{
	struct task_struct *task = (void *)whose;
	struct ancestor_match match = {.scratch = scratch, .filter = filter, .task = task, .found = NOT_READ};

	if (!scratch || !filter)
		return NOT_READ;
	if (filter->kind == RUNTIME_FILTER_PARENT_BINARY)
		match.task = BPF_CORE_READ(task, real_parent);
	if (match.task)
		bpf_loop(RUNTIME_ANCESTORS, try_ancestor, &match, 0);
	return match.found;
}

struct member_match {
	struct runtime_member_key key;
	__u32 found;
};

static long try_member(__u32 level, void *context)
{
	struct member_match *match = context;

	match->key.cgroup = bpf_get_current_ancestor_cgroup_id(level);
	if (!match->key.cgroup)
		return 1;
	if (!bpf_map_lookup_elem(&runtime_members, &match->key))
		return 0;
	match->found = 1;
	return 1;
}

VERIFIED_ONCE int is_member(__u32 set, __u64 whose)
{
	struct task_struct *task = (void *)whose;
	struct member_match match = {.key = {.set = set, .netns = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum)}};

	if (bpf_map_lookup_elem(&runtime_members, &match.key))
		return 1;
	match.key.netns = 0;
	bpf_loop(CGROUP_LEVELS, try_member, &match, 0);
	return match.found;
}

INLINE int match_filter(struct runtime_scratch *scratch, struct runtime_filter *filter, __u64 task)
{
	switch (filter->kind) {
	case RUNTIME_FILTER_ARG:
		return match_value(scratch, filter, &scratch->event.values[filter->slot & (RUNTIME_ARGS - 1)]);
	case RUNTIME_FILTER_RETURN:
		return match_value(scratch, filter, &scratch->event.result_value);
	case RUNTIME_FILTER_PID:
	case RUNTIME_FILTER_BINARY:
	case RUNTIME_FILTER_PARENT_BINARY:
		return match_ancestors(scratch, filter, task);
	case RUNTIME_FILTER_NAMESPACE:
		return match_namespace(filter, task);
	case RUNTIME_FILTER_CAPABILITY:
		return match_capability(filter, task);
	case RUNTIME_FILTER_WORKLOAD:
		return is_member(filter->first, task);
	default:
		return NOT_READ;
	}
}

struct filters_match {
	struct runtime_call *call;
	__u32 first;
	__u32 holds;
};

static long try_filter(__u32 index, void *context)
{
	struct filters_match *match = context;
	struct runtime_call *call = match->call;
	struct runtime_filter *filter = &call->hook->filters[(match->first + index) & (RUNTIME_FILTERS - 1)];
	int found = match_filter(call->scratch, filter, (__u64)call->task);

	if (found != NOT_READ && found != (filter->flags & RUNTIME_NEGATED))
		return 0;
	match->holds = 0;
	return 1;
}

INLINE bool filters_hold(struct runtime_call *call, __u32 first, __u32 count)
{
	struct filters_match match = {.call = call, .first = first, .holds = 1};

	if (count > RUNTIME_FILTERS)
		return false;
	bpf_loop(count, try_filter, &match, 0);
	return match.holds;
}

/* The first selector whose filters all hold. */
INLINE bool select(struct runtime_call *call)
{
	struct runtime_hook *hook = call->hook;

	call->selector = -1;
	if (hook->selectors_count == 0)
		return true;
	for (int i = 0; i < RUNTIME_SELECTORS; i++) {
		if (i >= hook->selectors_count)
			return false;
		if (!filters_hold(call, hook->selectors[i].first, hook->selectors[i].filters))
			continue;
		call->selector = i;
		return true;
	}
	return false;
}

INLINE bool is_for(struct runtime_hook *hook, struct task_struct *task)
{
	if (!(hook->flags & RUNTIME_HOOK_SCOPED))
		return true;
	if ((hook->flags & RUNTIME_HOOK_OF_WORKLOADS) && is_member(hook->workloads, (__u64)task))
		return true;
	return (hook->flags & RUNTIME_HOOK_OF_HOST) && !is_member(0, (__u64)task);
}

#endif
