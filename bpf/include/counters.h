/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Counters that are always kept, whether or not an event could be written.
 * Programs of the tc layer cannot interrupt each other on one CPU, so a plain
 * addition is enough there; ct_sweep can be interrupted by them and adds atomically.
 */
#ifndef WEIR_COUNTERS_H
#define WEIR_COUNTERS_H

#include "maps.h"

INLINE void count_atomic(__u32 counter)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &counter);

	if (value)
		__sync_fetch_and_add(value, 1);
}

INLINE void count(__u32 counter)
{
#ifdef WEIR_INTERRUPTIBLE /* all of the object may be interrupted */
	count_atomic(counter);
#else
	__u64 *value = bpf_map_lookup_elem(&counters, &counter);

	if (value)
		*value += 1;
#endif
}

/* For who can be interrupted. */
INLINE void count_drop_atomic(__u8 reason, __u8 direction, __u64 packets, __u64 bytes)
{
	struct drop_key key = {.reason = reason, .direction = direction};
	struct drop_value none = {};
	struct drop_value *value = bpf_map_lookup_elem(&drops, &key);

	if (!value) {
		bpf_map_update_elem(&drops, &key, &none, BPF_NOEXIST);
		value = bpf_map_lookup_elem(&drops, &key);
	}
	if (!value)
		return;
	__sync_fetch_and_add(&value->packets, packets);
	__sync_fetch_and_add(&value->bytes, bytes);
}

INLINE void count_drop(__u8 reason, __u8 direction, __u64 packets, __u64 bytes)
{
#ifdef WEIR_INTERRUPTIBLE
	count_drop_atomic(reason, direction, packets, bytes);
#else
	struct drop_key key = {.reason = reason, .direction = direction};
	struct drop_value *value = bpf_map_lookup_elem(&drops, &key);
	struct drop_value first = {.packets = packets, .bytes = bytes};

	if (value) {
		value->packets += packets;
		value->bytes += bytes;
	} else if (bpf_map_update_elem(&drops, &key, &first, BPF_NOEXIST)) {
		/* another CPU made the key a moment ago; then ours exists too, with zeros */
		value = bpf_map_lookup_elem(&drops, &key);
		if (value) {
			value->packets += packets;
			value->bytes += bytes;
		} else {
			count(COUNTER_HELPER_FAILED);
		}
	}
#endif
}

#endif
