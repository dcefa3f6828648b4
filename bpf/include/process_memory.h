/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Arguments and environment of the image that has just begun: out of its own memory, as the kernel has laid them there,
 * strings with a NUL behind each. The last piece goes with the event of the image; those before it in events of their own.
 */
#ifndef WEIR_PROCESS_MEMORY_H
#define WEIR_PROCESS_MEMORY_H

#include "process.h"

struct memory_read {
	__u64 from;
	__u32 size; /* to be sent in pieces */
	__u32 sent;
	__u32 what;
	__u32 failed;
};

struct process_piece {
	struct process_data_event event;
	__u8 data[WEIR_PROCESS_CHUNK];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct process_piece);
} process_pieces SEC(".maps") DOC("where events of arguments are put together");

static long send_piece(__u32 index, void *context)
{
	struct memory_read *read = context;
	struct process_scratch *scratch = this_scratch();
	__u32 zero = 0;
	struct process_piece *piece = bpf_map_lookup_elem(&process_pieces, &zero);

	if (!scratch || !piece || read->size - read->sent < WEIR_PROCESS_CHUNK)
		return 1;
	if (bpf_probe_read_user(piece->data, WEIR_PROCESS_CHUNK, (void *)(read->from + read->sent))) {
		read->failed = 1;
		return 1;
	}
	piece->event.header.version = WEIR_ABI_VERSION;
	piece->event.header.kind = EVENT_PROCESS_DATA;
	piece->event.header.cpu = bpf_get_smp_processor_id();
	piece->event.header.size = sizeof(*piece);
	piece->event.header.time_ns = bpf_ktime_get_ns();
	piece->event.exec_ns = scratch->event.exec_ns;
	piece->event.pid = scratch->event.pid;
	piece->event.what = read->what;
	piece->event.at = read->sent;
	piece->event.length = WEIR_PROCESS_CHUNK;
	if (bpf_ringbuf_output(&process_events, piece, sizeof(*piece), wake_up())) {
		count_process(PROCESS_COUNT_LOST_DATA);
		return 1;
	}
	count_process(PROCESS_COUNT_DATA);
	read->sent += WEIR_PROCESS_CHUNK;
	return 0;
}

/* Whole pieces of `read`; what is left, less than one, is for the image's event. */
INLINE void send_pieces(struct memory_read *read)
{
	if (read->size >= WEIR_PROCESS_CHUNK)
		bpf_loop(WEIR_PROCESS_CHUNKS, send_piece, read, 0);
}

/* Puts what is left of `read` behind what the event has; returns its length. */
INLINE __u32 tell_rest(struct process_scratch *scratch, struct memory_read *read)
{
	__u32 length = read->size - read->sent, to = scratch->event.data_length;

	if (!length || read->failed)
		return 0;
	if (length >= WEIR_PROCESS_CHUNK || to > DATA_ROOM - WEIR_PROCESS_CHUNK)
		return 0;
	barrier_var(length);
	length &= WEIR_PROCESS_CHUNK - 1;
	barrier_var(to);
	if (to > DATA_ROOM - WEIR_PROCESS_CHUNK)
		return 0;
	if (bpf_probe_read_user(&scratch->data[to], length, (void *)(read->from + read->sent))) {
		read->failed = 1;
		return 0;
	}
	read->sent += length;
	scratch->event.data_length = to + length;
	return length;
}

#endif
