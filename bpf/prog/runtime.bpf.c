/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Hooks of runtime policies at system calls: programs where every call begins and returns. A call that nobody asks for
 * costs a look into an array.
 */
#include "runtime_act.h"

#include <bpf/bpf_tracing.h>

#include "runtime_registers.h"

struct site_walk {
	struct runtime_call call;
	struct runtime_site *site;
	__u64 left;
	__u32 word;
	__s64 result;
};

/* Place of the next hook of the site; false: this step found none. */
INLINE bool next_hook(struct site_walk *walk)
{
	__u64 left = walk->left;

	if (!left)
		return false;
	walk->left = left & (left - 1);
	walk->call.place = (walk->word - 1) * 64 + __builtin_ctzll(left);
	walk->call.hook = bpf_map_lookup_elem(&runtime_hooks, &walk->call.place);
	return walk->call.hook != NULL;
}

/* True when there are no more. */
INLINE bool next_word(struct site_walk *walk)
{
	if (walk->left)
		return false;
	if (walk->word >= RUNTIME_WORDS)
		return true;
	walk->left = walk->site->hooks[walk->word & (RUNTIME_WORDS - 1)];
	walk->word++;
	return false;
}

/* What is known when the call begins, for when it returns. */
INLINE void wait_for_return(struct runtime_call *call)
{
	struct runtime_scratch *scratch = call->scratch;
	struct runtime_pending *pending = &scratch->pending;
	struct runtime_pending_key key = {.thread = bpf_get_current_pid_tgid(), .hook = call->place};
	struct runtime_count *count;
	struct runtime_value *value;
	__u32 length = scratch->event.data_length;

	bpf_probe_read_kernel(&pending->event, sizeof(pending->event), &scratch->event);
	if (length > RUNTIME_PENDING_BYTES)
		length = RUNTIME_PENDING_BYTES;
	pending->event.data_length = length;
	barrier_var(length);
	if (length > RUNTIME_PENDING_BYTES)
		return;
	bpf_probe_read_kernel(pending->data, length, scratch->data);
	for (int i = 0; i < RUNTIME_ARGS; i++) {
		value = &pending->event.values[i];
		if (value->kind <= RUNTIME_VALUE_NUMBER || value->at + value->length <= RUNTIME_PENDING_BYTES)
			continue;
		value->flags |= RUNTIME_VALUE_CUT;
		if (value->at >= RUNTIME_PENDING_BYTES || value->kind == RUNTIME_VALUE_ADDRESS)
			value->kind = RUNTIME_VALUE_NONE;
		else
			value->length = RUNTIME_PENDING_BYTES - value->at;
	}
	if (!bpf_map_update_elem(&runtime_pendings, &key, pending, BPF_ANY))
		return;
	count = runtime_count_of(call->place, call->selector);
	if (count)
		count->lost++;
}

INLINE void begin_event(struct runtime_call *call)
{
	struct runtime_event *event = &call->scratch->event;
	__u64 thread = bpf_get_current_pid_tgid();
	__u32 pid = thread >> 32;
	struct process *process = bpf_map_lookup_elem(&processes, &pid);

	event->exec_ns = process ? process->exec_ns : 0;
	event->began_ns = bpf_ktime_get_ns();
	event->result = 0;
	event->serial = call->hook->serial;
	event->hook = call->place;
	event->pid = pid;
	event->tid = thread;
	event->site = call->site;
	event->actions = event->signal = event->returned = event->data_length = event->pad = 0;
	event->values_count = call->hook->args_count;
	__builtin_memset(&event->result_value, 0, sizeof(event->result_value));
}

static long begin_hook(__u32 index, void *context)
{
	struct site_walk *walk = context;
	struct runtime_call *call = &walk->call;
	struct runtime_actions all = {.bits = RUNTIME_ACTION_POST};
	struct runtime_hook *hook;
	__u32 returns;

	if (next_word(walk))
		return 1;
	if (!next_hook(walk))
		return 0;
	hook = call->hook;
	if (!hook || !is_for(hook, call->task))
		return 0;
	begin_event(call);
	bpf_loop(RUNTIME_ARGS, read_arg, call, 0);
	if (!select(call))
		return 0;
	call->scratch->event.selector = call->selector;
	returns = hook->flags & RUNTIME_HOOK_RETURNS;
	if (call->selector >= 0 && call->selector < RUNTIME_SELECTORS)
		act(call, &hook->selectors[call->selector].actions, 0, returns);
	else
		act(call, &all, 0, returns);
	if (returns)
		wait_for_return(call);
	return 0;
}

static long end_hook(__u32 index, void *context)
{
	struct site_walk *walk = context;
	struct runtime_call *call = &walk->call;
	struct runtime_scratch *scratch = call->scratch;
	struct runtime_pending_key key = {.thread = bpf_get_current_pid_tgid()};
	struct runtime_actions all = {.bits = RUNTIME_ACTION_POST};
	struct runtime_selector *selector;
	struct runtime_pending *pending;
	struct runtime_event *event = &scratch->event;
	struct runtime_hook *hook;

	if (next_word(walk))
		return 1;
	if (!next_hook(walk))
		return 0;
	hook = call->hook;
	key.hook = call->place;
	pending = bpf_map_lookup_elem(&runtime_pendings, &key);
	if (!hook || !pending)
		return 0;
	bpf_probe_read_kernel(event, sizeof(*event), &pending->event);
	bpf_probe_read_kernel(scratch->data, RUNTIME_PENDING_BYTES, pending->data);
	bpf_map_delete_elem(&runtime_pendings, &key);
	if (event->serial != hook->serial)
		return 0;
	event->result = walk->result;
	event->returned = 1;
	event->result_value.number = walk->result;
	if (hook->return_read == RUNTIME_READ_FD && walk->result >= 0)
		read_fd(scratch, &event->result_value, (__u64)call->task);
	else if (hook->return_read == RUNTIME_READ_NUMBER)
		event->result_value.kind = RUNTIME_VALUE_NUMBER;
	bpf_loop(RUNTIME_ARGS, read_returned, call, 0);
	call->selector = event->selector;
	if (call->selector < 0 || call->selector >= RUNTIME_SELECTORS) {
		act(call, &all, 1, 0);
		return 0;
	}
	selector = &hook->selectors[call->selector];
	if (filters_hold(call, selector->first + selector->filters, selector->return_filters))
		act(call, &selector->return_actions, 1, 0);
	return 0;
}

INLINE struct runtime_site *asked_for(__u32 site)
{
	struct runtime_site *found;

	if (site == NO_SITE)
		return NULL;
	found = bpf_map_lookup_elem(&runtime_sites, &site);
	return found && found->count ? found : NULL;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(runtime_enter, struct pt_regs *regs, long number)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct site_walk walk = {.call.task = (void *)bpf_get_current_task()};
	__u32 zero = 0;

	walk.call.site = site_of(number, task);
	walk.site = asked_for(walk.call.site);
	if (!walk.site || !is_ours(walk.call.task))
		return 0;
	walk.call.scratch = bpf_map_lookup_elem(&runtime_scratches, &zero);
	if (!walk.call.scratch)
		return 0;
	read_registers(walk.call.scratch, regs, walk.call.site);
	bpf_loop(RUNTIME_HOOKS + RUNTIME_WORDS, begin_hook, &walk, 0);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(runtime_return, struct pt_regs *regs, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct site_walk walk = {.call.task = (void *)bpf_get_current_task(), .result = result};
	__u32 zero = 0;

	walk.call.site = site_of(number_of_call(regs), task);
	walk.site = asked_for(walk.call.site);
	if (!walk.site)
		return 0;
	walk.call.scratch = bpf_map_lookup_elem(&runtime_scratches, &zero);
	if (!walk.call.scratch)
		return 0;
	bpf_loop(RUNTIME_HOOKS + RUNTIME_WORDS, end_hook, &walk, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
