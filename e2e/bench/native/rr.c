// SPDX-License-Identifier: Apache-2.0
/*
 * Times one question after the other over TCP, or one large transfer, from a namespace to another, client and server on
 * the same CPU: what a path costs an application. Node's event loop would hide differences of a microsecond.
 *
 *     rr serve|sink NETNS PORT CPU [6]     prints "ready"; answers until it is killed, or its parent ends. 6: IPv6
 *     rr ask NETNS ADDRESS PORT CPU rr|crr|stream MS
 *
 * rr: 64 bytes there and back on one connection. crr: connect, 64 bytes there and back, reset (no TIME_WAIT).
 * `ask` prints {"count":..,"p50Ns":..,"p99Ns":..}; what does not work ends it with a message and status 1.
 * stream, to a sink: as much as goes in that time; prints {"bytes":..,"ns":..} when the sink says that it has all.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES 64
#define CHUNK_BYTES (256 << 10)
#define MAX_SAMPLES (4 << 20)
/* A path that loses packets must not pass for a slow one. */
#define ANSWER_TIMEOUT_S 15

static void fail(const char *what)
{
	fprintf(stderr, "rr: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void enter(const char *netns, int cpu)
{
	int fd = open(netns, O_RDONLY | O_CLOEXEC);
	cpu_set_t cpus;

	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		fail(netns);
	close(fd);
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		fail("CPU");
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t size;
};

static struct address address_of(const char *text, int port)
{
	struct address to = {.v4 = {.sin_family = AF_INET, .sin_port = htons(port)}, .size = sizeof(to.v4)};

	if (inet_pton(AF_INET, text, &to.v4.sin_addr) == 1)
		return to;
	to = (struct address){.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}, .size = sizeof(to.v6)};
	if (inet_pton(AF_INET6, text, &to.v6.sin6_addr) != 1)
		fail(text);
	return to;
}

static int tcp_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	struct timeval limit = {.tv_sec = ANSWER_TIMEOUT_S};

	if (fd < 0)
		fail("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return fd;
}

static int listener_at(int port, int v6)
{
	struct address at = address_of(v6 ? "::" : "0.0.0.0", port);
	int listener = tcp_socket(at.any.sa_family);

	if (bind(listener, &at.any, at.size) < 0 || listen(listener, 128) < 0)
		fail("listen");
	return listener;
}

/* One transfer after the other. */
static void take_streams(int listener)
{
	static char data[CHUNK_BYTES];

	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		uint64_t bytes = 0;
		ssize_t count;

		if (fd < 0)
			continue;
		while ((count = read(fd, data, sizeof(data))) > 0)
			bytes += count;
		if (write(fd, &bytes, sizeof(bytes)) != sizeof(bytes))
			fprintf(stderr, "rr: a transfer ended early\n");
		close(fd);
	}
}

static void serve(int listener)
{
	int poll = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
	char data[4096];

	epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
	printf("ready\n");
	fflush(stdout);
	while (epoll_wait(poll, &event, 1, -1) >= 0 || errno == EINTR) {
		int fd = event.data.fd;

		if (fd == listener) {
			fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
			if (fd < 0)
				continue;
			int on = 1;

			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
			event = (struct epoll_event){.events = EPOLLIN, .data.fd = fd};
			epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
			continue;
		}
		ssize_t count = read(fd, data, sizeof(data));

		if (count <= 0 || write(fd, data, count) != count)
			close(fd);
	}
	fail("epoll");
}

static void exchange(int fd)
{
	char data[MESSAGE_BYTES] = "?";
	ssize_t got = 0;

	if (write(fd, data, sizeof(data)) != sizeof(data))
		fail("write");
	while (got < MESSAGE_BYTES) {
		ssize_t count = read(fd, data, sizeof(data) - got);

		if (count <= 0)
			fail("no answer");
		got += count;
	}
}

static int opened(const struct address *to)
{
	int fd = tcp_socket(to->any.sa_family);

	if (connect(fd, &to->any, to->size) < 0)
		fail("connect");
	return fd;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void stream(const struct address *to, long ms)
{
	static char data[CHUNK_BYTES];
	int fd = opened(to);
	uint64_t begin = now_ns(), end = begin + ms * 1000000ull, sent = 0, taken = 0;

	while (now_ns() < end) {
		ssize_t count = write(fd, data, sizeof(data));

		if (count <= 0)
			fail("write");
		sent += count;
	}
	if (shutdown(fd, SHUT_WR) < 0 || recv(fd, &taken, sizeof(taken), MSG_WAITALL) != sizeof(taken) || taken != sent)
		fail("the sink has less than was sent");
	printf("{\"bytes\":%llu,\"ns\":%llu}\n", (unsigned long long)taken, (unsigned long long)(now_ns() - begin));
}

static void ask(const struct address *to, int connect_each, long ms)
{
	uint32_t *samples = malloc(MAX_SAMPLES * sizeof(*samples));
	struct linger reset = {.l_onoff = 1, .l_linger = 0};
	size_t count = 0;
	int fd = connect_each ? -1 : opened(to);
	uint64_t begin = now_ns(), end = begin + ms * 1000000ull, last = begin;

	while (last < end && count < MAX_SAMPLES) {
		if (connect_each)
			fd = opened(to);
		exchange(fd);
		if (connect_each) {
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
			close(fd);
		}
		uint64_t now = now_ns();

		samples[count++] = now - last;
		last = now;
	}
	qsort(samples, count, sizeof(*samples), by_value);
	printf("{\"count\":%zu,\"p50Ns\":%u,\"p99Ns\":%u}\n", count, samples[count / 2], samples[count * 99 / 100]);
}

int main(int count, char **words)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	int sink = count > 1 && strcmp(words[1], "sink") == 0;

	if ((count == 5 || (count == 6 && strcmp(words[5], "6") == 0)) && (sink || strcmp(words[1], "serve") == 0)) {
		enter(words[2], atoi(words[4]));
		int listener = listener_at(atoi(words[3]), count == 6);

		if (sink)
			take_streams(listener);
		serve(listener);
	} else if (count == 8 && strcmp(words[1], "ask") == 0) {
		struct address to = address_of(words[3], atoi(words[4]));

		enter(words[2], atoi(words[5]));
		if (strcmp(words[6], "stream") == 0)
			stream(&to, atol(words[7]));
		else
			ask(&to, strcmp(words[6], "crr") == 0, atol(words[7]));
		return 0;
	}
	fprintf(stderr, "rr: serve|sink NETNS PORT CPU [6] | ask NETNS ADDRESS PORT CPU rr|crr|stream MS\n");
	return 2;
}
