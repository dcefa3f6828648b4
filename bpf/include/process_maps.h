/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Maps of processes. Other objects that ask who a pid is take `processes` by its pin. */
#ifndef WEIR_PROCESS_MAPS_H
#define WEIR_PROCESS_MAPS_H

#include "base.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_PROCESSES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct process);
} processes SEC(".maps") DOC("pid -> the process that runs now; written by programs, a killed agent finds it again");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PROCESS_COUNT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} process_counters SEC(".maps") DOC("enum weir_process_counter -> events written, events lost");

INLINE void count_process(__u32 counter)
{
	__u64 *value = bpf_map_lookup_elem(&process_counters, &counter);

	if (value)
		__sync_fetch_and_add(value, 1);
}

#endif
