/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Workloads of this host by address: where a sent packet goes, and who cannot have
 * sent a received one. Asked for new connections and for those between workloads
 * of this host; an entry of any other remembers that its peer is elsewhere. Should
 * the peer's address move here meanwhile, the stack delivers until the next report.
 */
#ifndef WEIR_LOCAL_H
#define WEIR_LOCAL_H

#include "config.h"
#include "prefix64.h"

INLINE const struct address_value *find_local(const __u8 *address)
{
	struct address_key key;

	address_copy(key.addr, address);
	return bpf_map_lookup_elem(&addresses, &key);
}

/* Sets where a packet that the workload sends goes next. */
INLINE void find_target(struct pass *pass)
{
	const struct address_value *local = find_local(pass->tuple.daddr);

	pass->target = local ? local->ifindex : 0;
	pass->trace_point = local ? TRACE_TO_ENDPOINT : TRACE_TO_STACK;
}

/* From the wire or from another workload, with the address of a workload of this host? Also notes that the peer is local. */
INLINE bool is_forged(struct pass *pass)
{
	const struct address_value *local;

	if (!check_source || !pass->came_by)
		return false;
	if (is_forged64(pass))
		return true;
	local = find_local(pass->tuple.saddr);
	if (local)
		pass->trace_point = TRACE_TO_ENDPOINT;
	return local && local->ifindex != pass->came_by;
}

#endif
