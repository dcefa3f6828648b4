/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the loader may set before load. The verifier sees constants and prunes
 * what is switched off, so a switch costs nothing at run time.
 */
#ifndef WEIR_CONFIG_H
#define WEIR_CONFIG_H

#include "base.h"

#define CONFIG(type, name, initial, doc) const volatile type name DOC(doc) = initial

CONFIG(__u64, flow_interval_ns, 5 * NS_PER_SECOND,
	"an active connection is reported, and its verdict judged again, this often; nanoseconds");
CONFIG(__u64, tcp_handshake_ns, 60 * NS_PER_SECOND,
	"a TCP connection that was not answered yet is forgotten after this idle time; nanoseconds");
CONFIG(__u64, tcp_established_ns, 8000 * NS_PER_SECOND,
	"an established TCP connection is forgotten after this idle time; nanoseconds");
CONFIG(__u64, tcp_closed_ns, 10 * NS_PER_SECOND,
	"a TCP connection closed by both sides or reset is forgotten after this idle time; nanoseconds");
CONFIG(__u64, other_ns, 60 * NS_PER_SECOND,
	"a connection of any other protocol is forgotten after this idle time; nanoseconds");
CONFIG(__u64, throttle_quiet_ns, 5 * NS_PER_SECOND,
	"a workload is no longer throttled when none of its events was held back for so long; nanoseconds");
CONFIG(__u64, bandwidth_horizon_ns, NS_PER_SECOND / 20,
	"how much of its rate a workload may use at once; a packet beyond it is dropped; nanoseconds");
CONFIG(__u64, pacing_horizon_ns, NS_PER_SECOND / 2,
	"how long uplinks may keep a packet back by its workload's rate; a later one is dropped; nanoseconds");
CONFIG(__u32, events_per_second, 10000,
	"events that one workload may report, with a second's worth at once; 0 = no limit");
CONFIG(__u32, events_wakeup_bytes, WEIR_EVENTS_BYTES / 4,
	"the reader of the ring buffer is woken up when so much waits; bytes");
CONFIG(__u8, report_tcp_flags, TCP_FIN | TCP_SYN | TCP_RST,
	"TCP flags whose first appearance in a direction is reported at once; bits of enum weir_tcp_flags");
CONFIG(__u8, report_flows, 1, "0 = no flow events at all, conntrack still counts; drops are reported always");
CONFIG(__u8, check_source, 1, "0 = workloads may send from any address, as if each had WORKLOAD_NO_SOURCE_CHECK");
CONFIG(__u8, track_fragments, 1, "0 = every fragment of a datagram is dropped with 157");

#endif
