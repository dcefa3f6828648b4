/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * One workload's flood must not cost the others their events. Each has an allowance:
 * events_per_second, and a second's worth at once. It is asked for only when there is
 * an event to write, so an established packet never pays for it.
 *
 * Who has used it up loses nothing silently. A report of a live connection waits: its
 * counts stay in conntrack, like those that find the ring buffer full, and go with a
 * later event. Where there is no later one (a refused packet, the rest of a connection
 * that ends) the event, its packets and its bytes are added to `throttled`. So, of each
 * workload: what happened = what events said + what `throttled` says.
 */
#ifndef WEIR_THROTTLE_H
#define WEIR_THROTTLE_H

#include "config.h"
#include "counters.h"

/* How often another CPU may be faster before we let the event pass. */
#define THROTTLE_TRIES 4

/* Notes that an event was held back; one CPU sees the beginning. */
INLINE void note_throttled(struct throttle *throttle, __u64 now)
{
	__u64 last = throttle->last_ns;

	if (now <= last)
		return;
	if (__sync_val_compare_and_swap(&throttle->last_ns, last, now) != last)
		return;
	if (last && now - last <= throttle_quiet_ns)
		return;
	throttle->started_ns = now;
	__sync_fetch_and_add(&throttle->episodes, 1);
}

/*
 * Takes one event from the allowance of the workload behind this interface. Returns 0
 * when it is used up. paid_ns runs ahead of the clock by the price of each event and
 * stands still meanwhile (a leaky bucket in one number, changed by compare-and-swap).
 */
VERIFIED_ONCE int may_report(__u32 ifindex, __u64 now)
{
	struct throttle *throttle;
	__u64 paid, from;
	int tries;

	if (!events_per_second)
		return 1;
	throttle = bpf_map_lookup_elem(&throttles, &ifindex);
	if (!throttle) {
		struct throttle first = {.paid_ns = now};

		bpf_map_update_elem(&throttles, &ifindex, &first, BPF_NOEXIST);
		return 1;
	}
	for (tries = 0; tries < THROTTLE_TRIES; tries++) {
		paid = throttle->paid_ns;
		from = paid > now ? paid : now;
		if (from - now >= NS_PER_SECOND) {
			note_throttled(throttle, now);
			return 0;
		}
		if (__sync_val_compare_and_swap(&throttle->paid_ns, paid, from + NS_PER_SECOND / events_per_second) ==
			paid)
			return 1;
	}
	return 1;
}

/* Keeps what an event that is not sent would have said. May run in process context: see counters.h. */
INLINE void count_throttled(const struct throttled_key *key, __u64 packets, __u64 bytes)
{
	struct throttled_value none = {}, *value = bpf_map_lookup_elem(&throttled, key);

	count_atomic(COUNTER_EVENTS_THROTTLED);
	if (!value) {
		bpf_map_update_elem(&throttled, key, &none, BPF_NOEXIST);
		value = bpf_map_lookup_elem(&throttled, key);
	}
	if (!value) {
		count_atomic(COUNTER_HELPER_FAILED);
		return;
	}
	__sync_fetch_and_add(&value->events, 1);
	__sync_fetch_and_add(&value->packets, packets);
	__sync_fetch_and_add(&value->bytes, bytes);
}

#endif
