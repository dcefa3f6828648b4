/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* XDP on uplinks of a host whose services are not accelerated: the prefilter alone, without the maps of services. */
#include "base.h"

#include "prefilter.h"

SEC("xdp")
int prefilter_uplink(struct xdp_md *xdp)
{
	return is_denied(xdp) ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
