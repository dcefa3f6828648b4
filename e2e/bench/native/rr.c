// SPDX-License-Identifier: Apache-2.0
/*
 * Times one question after the other over TCP, from a namespace to another, client and server on the same CPU: what a
 * path costs an application. Node's event loop would hide differences of a microsecond.
 *
 *     rr serve NETNS PORT CPU              prints "ready"; answers until it is killed, or its parent ends
 *     rr ask NETNS ADDRESS PORT CPU rr|crr MS
 *
 * rr: 64 bytes there and back on one connection. crr: connect, 64 bytes there and back, reset (no TIME_WAIT).
 * `ask` prints {"count":..,"p50Ns":..,"p99Ns":..}; what does not work ends it with a message and status 1.
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
#define MAX_SAMPLES (4 << 20)
/* A path that loses packets must not pass for a slow one. */
#define ANSWER_TIMEOUT_S 2

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

static int tcp_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
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

static void serve(int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	int listener = tcp_socket(), poll = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
	char data[4096];

	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 128) < 0)
		fail("listen");
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

static int opened(const struct sockaddr_in *to)
{
	int fd = tcp_socket();

	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		fail("connect");
	return fd;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void ask(const struct sockaddr_in *to, int connect_each, long ms)
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
	if (count == 5 && strcmp(words[1], "serve") == 0) {
		enter(words[2], atoi(words[4]));
		serve(atoi(words[3]));
	} else if (count == 8 && strcmp(words[1], "ask") == 0) {
		struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(words[4]))};

		if (inet_pton(AF_INET, words[3], &to.sin_addr) != 1)
			fail(words[3]);
		enter(words[2], atoi(words[5]));
		ask(&to, strcmp(words[6], "crr") == 0, atol(words[7]));
		return 0;
	}
	fprintf(stderr, "rr: serve NETNS PORT CPU | ask NETNS ADDRESS PORT CPU rr|crr MS\n");
	return 2;
}
