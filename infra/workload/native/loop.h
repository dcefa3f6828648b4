/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread, one epoll, one heap of timers. What is freed during a round of events is freed after it, because the
 * same round may still hold an event for it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct watch {
	int fd;
	uint32_t events;
	void (*ready)(struct watch *watch, uint32_t events);
};

struct timer {
	uint64_t due_ns;
	size_t place; /* in the heap, from 1; 0: not set */
	void (*fire)(struct timer *timer);
};

/* CLOCK_MONOTONIC, the clock of process.hrtime too: times of several processes compare. */
uint64_t now_ns(void);
uint64_t now_ms(void);

void *need(size_t bytes); /* zeroed; ends the program when there is none */
void fail(const char *what) __attribute__((noreturn));

void loop_init(void);
void loop_run(void) __attribute__((noreturn));
void loop_watch(struct watch *watch, int fd, uint32_t events);
void loop_events(struct watch *watch, uint32_t events);
/* Closes the descriptor; no event comes after it. */
void loop_close(struct watch *watch);
void loop_free(void *memory);

void timer_set(struct timer *timer, uint64_t due_ns);
void timer_clear(struct timer *timer);
