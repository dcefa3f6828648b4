/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Workloads that are cgroups: whose socket is it? A socket belongs to the cgroup in which it was made, for ever, whoever
 * has it now. A cgroup below a workload's is the workload's too.
 */
#ifndef WEIR_SOCKETS_H
#define WEIR_SOCKETS_H

#include "maps.h"

#define CGROUP_LEVELS 12 /* below the root; systemd's units are at 2 or 3, what they make below at one or two more */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WEIR_MAX_WORKLOADS);
	__type(key, __u64);
	__type(value, __u32);
} cgroup_workloads SEC(".maps")
	DOC("id of a cgroup -> number of the workload that it is, CGROUP_NUMBER in it; written by the agent");

/* Of a socket's packet. 0: of none. */
INLINE __u32 number_of_packet(struct __sk_buff *skb)
{
	__u64 id = bpf_skb_cgroup_id(skb);
	__u32 *number = bpf_map_lookup_elem(&cgroup_workloads, &id);
	int level;

	for (level = CGROUP_LEVELS; !number && level > 0; level--) {
		id = bpf_skb_ancestor_cgroup_id(skb, level);
		if (id)
			number = bpf_map_lookup_elem(&cgroup_workloads, &id);
	}
	return number ? *number : 0;
}

/* Of a packet that a process of this host has sent. 0: of none. */
VERIFIED_ONCE int identity_of_packet(struct __sk_buff *skb)
{
	__u32 number = number_of_packet(skb);
	const struct workload *workload = number ? bpf_map_lookup_elem(&workloads, &number) : NULL;

	return workload ? workload->identity : 0;
}

#endif
