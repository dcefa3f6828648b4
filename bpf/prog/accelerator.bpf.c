/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* XDP on uplinks of a host with accelerated services: what can be balanced without the stack, after the prefilter if there is one. */
#include "base.h"

#include "accelerate.h"
#include "prefilter.h"

SEC("xdp")
int accelerate_uplink(struct xdp_md *xdp)
{
	return accelerate(xdp, choose_backend);
}

SEC("xdp")
int guard_uplink(struct xdp_md *xdp)
{
	return is_denied(xdp) ? XDP_DROP : accelerate(xdp, choose_backend);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
