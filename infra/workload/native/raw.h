/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked packet by packet: ICMP, and SCTP, which kernels without SCTP sockets carry all the same. An SCTP probe
 * is an INIT that is answered by the INIT ACK of the other program's raw socket. An ICMP message that nobody answers
 * carries a token, and the other program says whether that arrived.
 */
#pragma once

#include "probe.h"

void raw_probe_start(const struct probe_request *request, probe_done done, void *context);
/* Opens what is needed to see messages arrive; false with errno. */
bool raw_listen(void);
bool serve_sctp(uint16_t port);
/* Answers when a message with this token was or is seen, "timeout" otherwise. */
void raw_await(uint64_t token, uint32_t timeout_ms, probe_done done, void *context);
