/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the loader may set before load. The verifier sees constants and prunes
 * what is switched off, so a switch costs nothing at run time.
 */
#ifndef WEIR_CONFIG_H
#define WEIR_CONFIG_H

#include "base.h"

const volatile __u64 flow_interval_ns DOC("an active connection is reported, and its verdict judged again, this often; "
					  "nanoseconds") = 5 * NS_PER_SECOND;
const volatile __u64 tcp_handshake_ns DOC(
	"a TCP connection that was not answered yet is forgotten after this idle time; "
	"nanoseconds") = 60 * NS_PER_SECOND;
const volatile __u64 tcp_established_ns DOC("an established TCP connection is forgotten after this idle time; "
					    "nanoseconds") = 8000 * NS_PER_SECOND;
const volatile __u64 tcp_closed_ns DOC(
	"a TCP connection closed by both sides or reset is forgotten after this idle time; "
	"nanoseconds") = 10 * NS_PER_SECOND;
const volatile __u64 other_ns DOC(
	"a connection of any other protocol is forgotten after this idle time; nanoseconds") = 60 * NS_PER_SECOND;
const volatile __u32 events_wakeup_bytes DOC(
	"the reader of the ring buffer is woken up when so much waits; bytes") = WEIR_EVENTS_BYTES / 4;
const volatile __u8 report_tcp_flags DOC("TCP flags whose first appearance in a direction is reported at once; "
					 "bits of enum weir_tcp_flags") = TCP_FIN | TCP_SYN | TCP_RST;
const volatile __u8 report_flows DOC(
	"0 = no flow events at all, conntrack still counts; drops are reported always") = 1;
const volatile __u8 check_source DOC("0 = workloads may send from any address, as if each had "
				     "WORKLOAD_NO_SOURCE_CHECK") = 1;
const volatile __u8 track_fragments DOC("0 = every fragment of a datagram is dropped with 157") = 1;

#endif
