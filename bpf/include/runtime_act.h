/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What is done about a call that a hook asks for: told, with a limit to how often, and its process signalled. */
#ifndef WEIR_RUNTIME_ACT_H
#define WEIR_RUNTIME_ACT_H

#include "runtime_match.h"

#define NS_PER_MS 1000000ull
#define HASH_PRIME 0x100000001b3ull /* FNV-1a */
#define HASH_BASIS 0xcbf29ce484222325ull

/* Arguments are the same when their numbers are, and ends and lengths of their texts. */
INLINE __u64 values_hash(struct runtime_scratch *scratch)
{
	__u64 hash = HASH_BASIS, word;
	struct runtime_value *value;
	__u32 at, end;

	for (int i = 0; i < RUNTIME_ARGS; i++) {
		value = &scratch->event.values[i];
		if (i >= scratch->event.values_count)
			break;
		if (value->kind == RUNTIME_VALUE_NUMBER) {
			hash = (hash ^ value->number) * HASH_PRIME;
			continue;
		}
		hash = (hash ^ value->length) * HASH_PRIME;
		if (value->length < 8)
			continue;
		at = value->at & (RUNTIME_DATA_BYTES - 1);
		end = (value->at + value->length - 8) & (RUNTIME_DATA_BYTES - 1);
		if (at <= RUNTIME_DATA_BYTES - 8 && !bpf_probe_read_kernel(&word, 8, &scratch->data[at]))
			hash = (hash ^ word) * HASH_PRIME;
		if (end <= RUNTIME_DATA_BYTES - 8 && !bpf_probe_read_kernel(&word, 8, &scratch->data[end]))
			hash = (hash ^ word) * HASH_PRIME;
	}
	return hash;
}

INLINE bool was_posted(struct runtime_call *call, struct runtime_actions *actions, __u32 returned)
{
	struct runtime_event *event = &call->scratch->event;
	struct runtime_posted_key key = {
		.serial = call->hook->serial,
		.selector = (__u32)(call->selector + 1) << 1 | returned,
		.values = values_hash(call->scratch),
	};
	__u64 now = bpf_ktime_get_ns(), *before;

	if (actions->rate_scope == RUNTIME_RATE_THREAD)
		key.who = event->tid;
	else if (actions->rate_scope == RUNTIME_RATE_PROCESS)
		key.who = event->pid;
	before = bpf_map_lookup_elem(&runtime_posted, &key);
	if (before && now - *before < actions->rate_ms * NS_PER_MS)
		return true;
	bpf_map_update_elem(&runtime_posted, &key, &now, BPF_ANY);
	return false;
}

INLINE void post(struct runtime_call *call, struct runtime_count *count)
{
	struct runtime_event *event = &call->scratch->event;
	__u64 size;

	event->header.version = WEIR_ABI_VERSION;
	event->header.kind = EVENT_RUNTIME_CALL;
	event->header.cpu = bpf_get_smp_processor_id();
	event->header.time_ns = bpf_ktime_get_ns();
	/* whole events stand one behind the other, and begin where numbers may */
	size = sizeof(*event) + ((event->data_length + 7) & ~7u);
	event->header.size = size;
	barrier_var(size);
	if (size > sizeof(*event) + RUNTIME_DATA_BYTES)
		return;
	if (bpf_ringbuf_output(&runtime_events, event, size, 0))
		count->lost++;
	else
		count->post++;
}

/* Takes what `actions` say; counts of a CPU are changed on it alone, with preemption off. */
static __attribute__((noinline)) void act(
	struct runtime_call *call, struct runtime_actions *actions, __u32 returned, __u32 told_later)
{
	struct runtime_event *event = &call->scratch->event;
	struct runtime_count *count = runtime_count_of(call->place, call->selector);

	if (!count)
		return;
	if (actions->bits & RUNTIME_ACTION_SIGNAL) {
		event->signal = actions->signal;
		event->actions |= actions->bits & (RUNTIME_ACTION_SIGNAL | RUNTIME_ACTION_MONITORED);
		if (actions->bits & RUNTIME_ACTION_MONITORED)
			count->monitor_signal++;
		else if (bpf_send_signal(actions->signal))
			count->failed++;
		else
			count->signal++;
	}
	if (told_later)
		return;
	if (!(actions->bits & RUNTIME_ACTION_POST)) {
		count->no_post++;
		return;
	}
	event->actions |= RUNTIME_ACTION_POST;
	if (actions->rate_ms && was_posted(call, actions, returned))
		count->limited++;
	else
		post(call, count);
}

#endif
