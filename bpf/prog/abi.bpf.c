/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Never loaded. It names every struct and enum that both sides share, so that
 * clang writes all of them into one object's BTF for codegen, and carries the
 * texts of the drop reasons.
 */
#include "base.h"

#define SHARED_ENUM(name) __attribute__((used)) enum name *shared_enum_##name;
#define SHARED_STRUCT(name) __attribute__((used)) struct name *shared_struct_##name;

SHARED_ENUM(weir_abi)
SHARED_ENUM(weir_limits)
SHARED_ENUM(weir_identity)
SHARED_ENUM(weir_verdict)
SHARED_ENUM(weir_drop_reason)
SHARED_ENUM(weir_direction)
SHARED_ENUM(weir_trace_point)
SHARED_ENUM(weir_trace_reason)
SHARED_ENUM(weir_report)
SHARED_ENUM(weir_tcp_flags)
SHARED_ENUM(weir_event_kind)
SHARED_ENUM(weir_workload_flags)
SHARED_ENUM(weir_tunnel_flags)
SHARED_ENUM(weir_policy_bits)
SHARED_ENUM(weir_ct_icmp)
SHARED_ENUM(weir_ct_flags)
SHARED_ENUM(weir_counter)
SHARED_ENUM(weir_sweep_flags)
SHARED_ENUM(weir_uplink_flags)
SHARED_ENUM(weir_egress_bits)
SHARED_ENUM(weir_egress_flags)
SHARED_ENUM(weir_nat_sweep_flags)

SHARED_STRUCT(drop_text)
SHARED_STRUCT(workload)
SHARED_STRUCT(address_key)
SHARED_STRUCT(address_value)
SHARED_STRUCT(prefix_key)
SHARED_STRUCT(ipcache_value)
SHARED_STRUCT(tunnel)
SHARED_STRUCT(identity_value)
SHARED_STRUCT(cidr_value)
SHARED_STRUCT(policy_key)
SHARED_STRUCT(policy_entry)
SHARED_STRUCT(ct_key)
SHARED_STRUCT(ct_direction)
SHARED_STRUCT(ct_entry)
SHARED_STRUCT(frag_key)
SHARED_STRUCT(frag_value)
SHARED_STRUCT(bandwidth)
SHARED_STRUCT(drop_key)
SHARED_STRUCT(drop_value)
SHARED_STRUCT(throttle)
SHARED_STRUCT(throttled_key)
SHARED_STRUCT(throttled_value)
SHARED_STRUCT(sweep_ctx)
SHARED_STRUCT(uplink)
SHARED_STRUCT(egress_source)
SHARED_STRUCT(egress_key)
SHARED_STRUCT(egress_route)
SHARED_STRUCT(egress_group)
SHARED_STRUCT(egress_gateway)
SHARED_STRUCT(prefilter_value)
SHARED_STRUCT(nat64)
SHARED_STRUCT(unmasqueraded_value)
SHARED_STRUCT(nat_key)
SHARED_STRUCT(nat_out_value)
SHARED_STRUCT(nat_in_value)
SHARED_STRUCT(nat_sweep_ctx)
SHARED_STRUCT(event_header)
SHARED_STRUCT(flow_event)

#define DROP_TEXT(name, number, words) {number, words},
const struct drop_text drop_text_table[] SEC("drop_texts") = {WEIR_DROP_REASONS(DROP_TEXT)};

char LICENSE[] SEC("license") = "Dual BSD/GPL";
