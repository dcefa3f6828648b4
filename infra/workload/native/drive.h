/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic that goes on until it is stopped, counted and timed. `hold` keeps connections (or UDP sockets) and sends a
 * message on every tick of each: what an application notices of a fault below it; it never connects again. `open`
 * makes a new connection (or asks a new UDP or ICMP question) on every tick: what newcomers notice.
 */
#pragma once

#include <stdio.h>

#include "probe.h"

struct drive_request {
	bool hold;
	struct probe_request probe;
	uint32_t count; /* connections of hold; probes a tick of open */
	uint32_t tick_us;
	uint32_t stall_ms; /* a longer gap between two answers is a stall */
	/* open: */
	bool at_link_up; /* tick too when the kernel says that a link, an address or a route came */
	bool until_answered; /* the first answer ends it */
};

struct drive;
typedef void (*drive_ready)(void *context, const char *error);

/* `ready` is called once: with the error's name, or NULL when all of hold are connected (of open: at once). */
struct drive *drive_start(const struct drive_request *request, drive_ready ready, void *context);
/* Writes a JSON object. */
void drive_report(const struct drive *drive, FILE *out);
/* Nothing more is sent; answers to what was sent are still counted. */
void drive_quiet(struct drive *drive);
/* Of a quiet one: every answer has come, or will not come any more. */
bool drive_is_settled(const struct drive *drive);
void drive_free(struct drive *drive);
