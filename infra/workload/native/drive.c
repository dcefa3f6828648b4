// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "drive.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "histogram.h"

#define MIN_MESSAGE_BYTES 8 /* the time at which it was sent */

/* One held connection. */
struct holding {
	struct watch watch; /* first: events come with it */
	struct drive *drive;
	uint64_t last_ns;
	uint32_t kept_bytes; /* of a message that has not come whole */
	bool connected;
	uint8_t kept[];
};

struct drive {
	struct watch news; /* of the kernel, with at_link_up */
	struct timer timer;
	struct drive_request request;
	drive_ready ready;
	void *context;
	struct holding **holdings;
	uint32_t waiting; /* held connections that are not connected yet */
	uint32_t asked; /* probes without a result */
	bool is_quiet, is_freed;
	uint64_t connected, sent, answered, unsent, refused, lost, resets, stalls, longest_gap_ns, last_ns;
	uint64_t first_sent_ns, first_answered_ns;
	const char *last_error;
	struct histogram times;
};

static void tell_ready(struct drive *drive, const char *error)
{
	drive_ready ready = drive->ready;

	drive->ready = NULL;
	if (ready)
		ready(drive->context, error);
}

static void gap(struct drive *drive, uint64_t ns)
{
	if (ns > drive->longest_gap_ns)
		drive->longest_gap_ns = ns;
	if (ns > drive->request.stall_ms * 1000000ull)
		drive->stalls++;
}

static void answered(struct drive *drive, uint64_t now, uint64_t took_ns)
{
	drive->answered++;
	histogram_add(&drive->times, took_ns);
	if (drive->first_answered_ns == 0)
		drive->first_answered_ns = now;
}

static void holding_lost(struct holding *holding, int error)
{
	struct drive *drive = holding->drive;

	if (error)
		drive->last_error = error_name(error);
	loop_close(&holding->watch);
	if (holding->connected)
		drive->resets++;
	else
		tell_ready(drive, error_name(error));
}

static void holding_read(struct holding *holding)
{
	static uint8_t buffer[65536];
	struct drive *drive = holding->drive;
	uint32_t size = drive->request.probe.bytes;
	ssize_t got = recv(holding->watch.fd, buffer, sizeof(buffer), 0);
	uint64_t now = now_ns();

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got < 0 && drive->request.probe.protocol == PROTOCOL_UDP) {
		drive->refused++;
		drive->last_error = error_name(errno);
		return;
	}
	if (got <= 0)
		return holding_lost(holding, got < 0 ? errno : 0);
	gap(drive, now - holding->last_ns);
	holding->last_ns = now;
	for (ssize_t i = 0; i < got; i++) {
		uint64_t sent_ns;

		holding->kept[holding->kept_bytes++] = buffer[i];
		if (holding->kept_bytes < size)
			continue;
		memcpy(&sent_ns, holding->kept, sizeof(sent_ns));
		holding->kept_bytes = 0;
		answered(drive, now, now - sent_ns);
	}
}

static void holding_ready(struct watch *watch, uint32_t events)
{
	struct holding *holding = (struct holding *)watch;
	struct drive *drive = holding->drive;

	if (!holding->connected) {
		int error = 0;
		socklen_t bytes = sizeof(error);

		getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
		if (error || !(events & EPOLLOUT)) {
			if (error)
				holding_lost(holding, error);
			return;
		}
		holding->connected = true;
		holding->last_ns = now_ns();
		loop_events(watch, EPOLLIN);
		drive->connected++;
		if (--drive->waiting == 0)
			tell_ready(drive, NULL);
		return;
	}
	holding_read(holding);
}

static void holding_tick(struct holding *holding)
{
	static uint8_t message[PROBE_MAX_BYTES];
	struct drive *drive = holding->drive;
	uint64_t now = now_ns();

	if (holding->watch.fd < 0 || !holding->connected)
		return;
	memcpy(message, &now, sizeof(now));
	ssize_t sent = send(holding->watch.fd, message, drive->request.probe.bytes, MSG_NOSIGNAL);

	if (sent == (ssize_t)drive->request.probe.bytes) {
		drive->sent++;
		if (drive->first_sent_ns == 0)
			drive->first_sent_ns = now;
	} else if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS || drive->request.probe.protocol == PROTOCOL_UDP)) {
		drive->unsent++;
		drive->last_error = error_name(errno);
	} else {
		holding_lost(holding,
			sent < 0 ? errno : EPIPE); /* half a message went: what follows could not be told apart */
	}
}

static int holding_start(struct drive *drive, struct holding *holding)
{
	const struct probe_request *probe = &drive->request.probe;
	int fd = probe_socket(probe);

	if (fd < 0)
		return errno;
	holding->drive = drive;
	holding->watch.ready = holding_ready;
	loop_watch(&holding->watch, fd, EPOLLOUT);
	if (probe->source.bytes && bind(fd, &probe->source.any, probe->source.bytes) < 0)
		return errno;
	return connect(fd, &probe->to.any, probe->to.bytes) < 0 && errno != EINPROGRESS ? errno : 0;
}

/* The kernel had nowhere to send it: it never left. */
static bool is_unsent(const char *outcome)
{
	return strcmp(outcome, "ENETUNREACH") == 0 || strcmp(outcome, "EADDRNOTAVAIL") == 0 ||
	       strcmp(outcome, "ENETDOWN") == 0;
}

static void opened(void *context, const struct probe_result *result)
{
	struct drive *drive = context;

	drive->asked--;
	if (drive->is_freed) {
		if (drive->asked == 0)
			loop_free(drive);
		return;
	}
	if (is_unsent(result->outcome)) {
		drive->unsent++;
		return;
	}
	drive->sent++;
	if (drive->first_sent_ns == 0)
		drive->first_sent_ns = result->started_ns;
	if (strcmp(result->outcome, "answered") == 0) {
		uint64_t now = now_ns();

		if (drive->last_ns)
			gap(drive, now - drive->last_ns);
		drive->last_ns = now;
		answered(drive, now, result->ns);
		if (drive->request.until_answered)
			drive_quiet(drive);
	} else if (strcmp(result->outcome, "timeout") == 0) {
		drive->lost++;
	} else {
		drive->refused++;
		drive->last_error = result->outcome;
	}
}

static void tick(struct drive *drive)
{
	for (uint32_t i = 0; i < drive->request.count && !drive->is_quiet; i++) {
		if (drive->request.hold) {
			holding_tick(drive->holdings[i]);
		} else {
			uint32_t before = drive->asked++;

			probe_start(&drive->request.probe, opened, drive);
			/* Still without a result: it is on its way. */
			if (drive->asked > before && drive->first_sent_ns == 0)
				drive->first_sent_ns = now_ns();
		}
	}
}

static void ticked(struct timer *timer)
{
	struct drive *drive = (struct drive *)((char *)timer - offsetof(struct drive, timer));
	uint64_t now = now_ns(), next = timer->due_ns + drive->request.tick_us * 1000ull;

	tick(drive);
	/* Ticks that a busy machine missed are not made up for. */
	if (!drive->is_quiet)
		timer_set(timer, next > now ? next : now + drive->request.tick_us * 1000ull);
}

static void news_came(struct watch *watch, uint32_t events)
{
	struct drive *drive = (struct drive *)watch; /* its first member */
	static uint8_t buffer[65536];

	(void)events;
	while (recv(watch->fd, buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
		;
	tick(drive);
}

static void watch_kernel(struct drive *drive)
{
	struct sockaddr_nl groups = {.nl_family = AF_NETLINK,
		.nl_groups =
			RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&groups, sizeof(groups)) < 0)
		fail("netlink");
	drive->news.ready = news_came;
	loop_watch(&drive->news, fd, EPOLLIN);
}

struct drive *drive_start(const struct drive_request *request, drive_ready ready, void *context)
{
	struct drive *drive = need(sizeof(*drive));

	drive->request = *request;
	drive->ready = ready;
	drive->context = context;
	drive->news.fd = -1;
	drive->timer.fire = ticked;
	if (drive->request.probe.bytes < MIN_MESSAGE_BYTES)
		drive->request.probe.bytes = MIN_MESSAGE_BYTES;
	if (request->hold) {
		drive->holdings = need(request->count * sizeof(*drive->holdings) + 1);
		drive->waiting = request->count;
		for (uint32_t i = 0; i < request->count; i++) {
			drive->holdings[i] = need(sizeof(struct holding) + drive->request.probe.bytes);
			drive->holdings[i]->watch.fd = -1;
		}
		for (uint32_t i = 0; i < request->count; i++) {
			int error = holding_start(drive, drive->holdings[i]);

			if (error)
				tell_ready(drive, error_name(error));
		}
	}
	if (request->at_link_up)
		watch_kernel(drive);
	timer_set(&drive->timer, now_ns() + drive->request.tick_us * 1000ull);
	if (!request->hold || request->count == 0)
		tell_ready(drive, NULL);
	return drive;
}

/* A gap that is not over counts as long as it is now. */
static uint64_t longest_gap(const struct drive *drive)
{
	uint64_t longest = drive->longest_gap_ns, now = now_ns();

	if (drive->is_quiet)
		return longest;
	for (uint32_t i = 0; drive->holdings && i < drive->request.count; i++) {
		const struct holding *holding = drive->holdings[i];

		if (holding->connected && holding->watch.fd >= 0 && now - holding->last_ns > longest)
			longest = now - holding->last_ns;
	}
	return drive->last_ns && now - drive->last_ns > longest ? now - drive->last_ns : longest;
}

void drive_report(const struct drive *drive, FILE *out)
{
	/* What is on its way was sent; once nothing more is sent it is waited for no longer. */
	uint64_t sent = drive->sent + drive->asked;
	uint64_t lost =
		drive->request.hold ? sent - drive->answered : drive->lost + (drive->is_quiet ? drive->asked : 0);

	fprintf(out, "{\"connected\":%lu,\"sent\":%lu,\"answered\":%lu,\"unsent\":%lu,\"refused\":%lu,\"lost\":%lu,",
		drive->connected, sent, drive->answered, drive->unsent, drive->refused, lost);
	fprintf(out, "\"resets\":%lu,\"stalls\":%lu,\"longestGapMs\":%lu,", drive->resets, drive->stalls,
		longest_gap(drive) / 1000000);
	fprintf(out, "\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"maxMs\":%.3f,", histogram_ms(&drive->times, 0.5),
		histogram_ms(&drive->times, 0.99), (double)drive->times.max_us / 1000);
	fprintf(out, "\"firstSentAtMs\":%.3f,\"firstAnsweredAtMs\":%.3f,\"lastError\":\"%s\"}",
		(double)drive->first_sent_ns / 1e6, (double)drive->first_answered_ns / 1e6,
		drive->last_error ? drive->last_error : "");
}

void drive_quiet(struct drive *drive)
{
	drive->longest_gap_ns = longest_gap(drive);
	drive->is_quiet = true;
	timer_clear(&drive->timer);
	loop_close(&drive->news);
}

bool drive_is_settled(const struct drive *drive)
{
	return drive->request.hold ? drive->answered >= drive->sent : drive->asked == 0;
}

void drive_free(struct drive *drive)
{
	drive_quiet(drive);
	drive->ready = NULL;
	for (uint32_t i = 0; drive->holdings && i < drive->request.count; i++) {
		loop_close(&drive->holdings[i]->watch);
		loop_free(drive->holdings[i]);
	}
	if (drive->holdings)
		loop_free(drive->holdings);
	drive->is_freed = true;
	if (drive->asked == 0)
		loop_free(drive);
}
