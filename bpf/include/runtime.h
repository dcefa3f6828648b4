/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Maps of runtime policies, and where a call is put together. */
#ifndef WEIR_RUNTIME_H
#define WEIR_RUNTIME_H

#include "process_path.h"

const volatile __u32 runtime_host_namespaces[RUNTIME_NAMESPACES] DOC("inode numbers of the host's namespaces") = {};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RUNTIME_SITES);
	__type(key, __u32);
	__type(value, struct runtime_site);
} runtime_sites SEC(".maps") DOC("system call -> hooks of runtime policies that ask for it");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RUNTIME_HOOKS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct runtime_hook);
} runtime_hooks SEC(".maps") DOC("place of a hook -> what it wants to know, and what it does");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RUNTIME_TEXTS);
	__type(key, __u32);
	__type(value, struct runtime_text);
} runtime_texts SEC(".maps") DOC("texts that filters of hooks compare with");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RUNTIME_RANGES);
	__type(key, __u32);
	__type(value, struct runtime_range);
} runtime_ranges SEC(".maps") DOC("numbers that filters of hooks compare with");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RUNTIME_PREFIXES);
	__type(key, __u32);
	__type(value, struct runtime_prefix);
} runtime_prefixes SEC(".maps") DOC("addresses that filters of hooks compare with");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RUNTIME_CGROUPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct runtime_member_key);
	__type(value, __u32);
} runtime_members SEC(".maps") DOC("workloads that hooks are for: set and cgroup, or network namespace");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, RUNTIME_HOOKS *(RUNTIME_SELECTORS + 1));
	__type(key, __u32);
	__type(value, struct runtime_count);
} runtime_counts SEC(".maps") DOC("hook x (selector + 1) -> what was done");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RUNTIME_EVENTS_BYTES);
} runtime_events SEC(".maps") DOC("calls that runtime policies tell of; read by the agent");

struct runtime_pending {
	struct runtime_event event;
	__u8 data[RUNTIME_PENDING_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RUNTIME_PENDING);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct runtime_pending_key);
	__type(value, struct runtime_pending);
} runtime_pendings SEC(".maps") DOC("calls under way that a hook waits for");

struct runtime_posted_key {
	__u32 serial;
	__u32 selector;
	__u64 who;
	__u64 values;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, RUNTIME_POSTED);
	__type(key, struct runtime_posted_key);
	__type(value, __u64);
} runtime_posted SEC(".maps") DOC("what was told of, and when: CLOCK_MONOTONIC, ns");

struct runtime_scratch {
	struct runtime_event event;
	__u8 data[RUNTIME_DATA_BYTES];
	__u8 path[PATH_ROOM];
	__u64 registers[8];
	__u64 window[RUNTIME_TEXT_BYTES / 8];
	struct runtime_pending pending;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct runtime_scratch);
} runtime_scratches SEC(".maps")
	DOC("where a call is read; system calls do not begin inside each other, and preemption is off");

struct runtime_call {
	struct runtime_scratch *scratch;
	struct runtime_hook *hook;
	struct task_struct *task;
	__u32 place; /* of the hook */
	__u32 site;
	__s32 selector;
	__u32 pad;
};

INLINE struct runtime_count *runtime_count_of(__u32 place, __s32 selector)
{
	__u32 key = place * (RUNTIME_SELECTORS + 1) + selector + 1;

	return bpf_map_lookup_elem(&runtime_counts, &key);
}

#endif
