/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question to the network: does it answer? A probe says what the application saw (answer, refusal, silence) and
 * how long it took; it never interprets.
 */
#pragma once

#include "address.h"
#include "loop.h"

/* SCTP: one INIT by raw socket. An association is the kernel's own SCTP, which not every kernel has. */
enum protocol { PROTOCOL_NONE, PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_ICMP, PROTOCOL_SCTP, PROTOCOL_ASSOCIATION };

struct probe_request {
	enum protocol protocol;
	struct address to; /* with the port */
	struct address source; /* bytes 0: the kernel's choice */
	uint16_t local_port; /* 0: any */
	uint32_t timeout_ms;
	uint32_t bytes; /* payload; the echo must return as many */
	uint8_t icmp_type; /* 0: an echo request */
	uint64_t token; /* in a message that is no echo request: what the other end waits for */
};

struct probe_result {
	const char *outcome; /* answered, timeout, sent, ECONNREFUSED ... */
	uint64_t started_ns, ns;
	uint16_t local_port;
};

typedef void (*probe_done)(void *context, const struct probe_result *result);

#define PROBE_MAX_BYTES 65000

/* Not yet connected, non-blocking; -1 with errno. For TCP, UDP and associations. */
int probe_socket(const struct probe_request *request);

/* `done` is called once, perhaps before this returns. */
void probe_start(const struct probe_request *request, probe_done done, void *context);
