/* SPDX-License-Identifier: Apache-2.0 */
/* Echo servers, both families on one socket; and what they served. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct served {
	uint64_t connections; /* TCP, and SCTP by the kernel */
	uint64_t datagrams; /* UDP */
	uint64_t associations; /* SCTP: INITs answered */
	uint64_t bytes;
	uint64_t unanswered; /* UDP: the kernel did not take the answer */
};

extern struct served served;

/* False with errno; true also when the port is served already. */
bool serve_tcp(uint16_t port);
bool serve_udp(uint16_t port);
/* With the kernel's own SCTP; its raw answers (raw.h) must not be asked for beside it. */
bool serve_associations(uint16_t port);
