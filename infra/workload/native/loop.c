// SPDX-License-Identifier: Apache-2.0
#include "loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define ROUND_EVENTS 256
#define NS_PER_MS 1000000ull

static int epoll = -1;
static struct timer **heap; /* from 1 */
static size_t heap_used, heap_room;
static void **dead;
static size_t dead_used, dead_room;

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

uint64_t now_ms(void)
{
	return now_ns() / NS_PER_MS;
}

void fail(const char *what)
{
	perror(what);
	exit(1);
}

void *need(size_t bytes)
{
	void *memory = calloc(1, bytes);

	if (memory == NULL)
		fail("memory");
	return memory;
}

void loop_init(void)
{
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		fail("epoll");
}

void loop_watch(struct watch *watch, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	watch->fd = fd;
	watch->events = events;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		fail("epoll_ctl");
}

void loop_events(struct watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	if (watch->events == events)
		return;
	watch->events = events;
	if (epoll_ctl(epoll, EPOLL_CTL_MOD, watch->fd, &event) < 0)
		fail("epoll_ctl");
}

void loop_close(struct watch *watch)
{
	if (watch->fd < 0)
		return;
	close(watch->fd);
	watch->fd = -1;
}

void loop_free(void *memory)
{
	if (dead_used == dead_room) {
		dead_room = dead_room ? 2 * dead_room : 64;
		dead = realloc(dead, dead_room * sizeof(*dead));
		if (dead == NULL)
			fail("memory");
	}
	dead[dead_used++] = memory;
}

static void put(struct timer *timer, size_t place)
{
	heap[place] = timer;
	timer->place = place;
}

static void rise(struct timer *timer, size_t place)
{
	for (; place > 1 && heap[place / 2]->due_ns > timer->due_ns; place /= 2)
		put(heap[place / 2], place);
	put(timer, place);
}

static void sink(struct timer *timer, size_t place)
{
	for (size_t child; (child = 2 * place) <= heap_used; place = child) {
		if (child < heap_used && heap[child + 1]->due_ns < heap[child]->due_ns)
			child++;
		if (heap[child]->due_ns >= timer->due_ns)
			break;
		put(heap[child], place);
	}
	put(timer, place);
}

void timer_clear(struct timer *timer)
{
	size_t place = timer->place;

	if (place == 0)
		return;
	timer->place = 0;
	struct timer *last = heap[heap_used--];

	if (last == timer)
		return;
	rise(last, place);
	sink(last, last->place);
}

void timer_set(struct timer *timer, uint64_t due_ns)
{
	timer_clear(timer);
	timer->due_ns = due_ns;
	if (heap_used + 1 >= heap_room) {
		heap_room = heap_room ? 2 * heap_room : 256;
		heap = realloc(heap, heap_room * sizeof(*heap));
		if (heap == NULL)
			fail("memory");
	}
	rise(timer, ++heap_used);
}

/* Rounded up: woken before its time, the loop would spin. */
static int wait_ms(void)
{
	if (heap_used == 0)
		return -1;
	uint64_t now = now_ns();

	return heap[1]->due_ns <= now ? 0 : (int)((heap[1]->due_ns - now + NS_PER_MS - 1) / NS_PER_MS);
}

void loop_run(void)
{
	struct epoll_event events[ROUND_EVENTS];

	for (;;) {
		int count = epoll_wait(epoll, events, ROUND_EVENTS, wait_ms());

		if (count < 0 && errno != EINTR)
			fail("epoll_wait");
		for (int i = 0; i < count; i++) {
			struct watch *watch = events[i].data.ptr;

			if (watch->fd >= 0)
				watch->ready(watch, events[i].events);
		}
		/* Those that are due now, not those that they set. */
		for (uint64_t now = now_ns(); heap_used > 0 && heap[1]->due_ns <= now;) {
			struct timer *timer = heap[1];

			timer_clear(timer);
			timer->fire(timer);
		}
		while (dead_used > 0)
			free(dead[--dead_used]);
	}
}
