// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "raw.h"

struct probe {
	struct watch watch; /* first: events come with it */
	struct timer timer;
	struct probe_request request;
	probe_done done;
	void *context;
	uint64_t started_ns;
	uint32_t received;
	bool connected;
};

static uint8_t payload[PROBE_MAX_BYTES];

static struct probe *of_timer(struct timer *timer)
{
	return (struct probe *)((char *)timer - offsetof(struct probe, timer));
}

static void finish(struct probe *probe, const char *outcome)
{
	struct probe_result result = {
		.outcome = outcome, .started_ns = probe->started_ns, .ns = now_ns() - probe->started_ns};
	struct sockaddr_in6 local; /* the ports of both families are at the same place */
	socklen_t bytes = sizeof(local);

	if (probe->watch.fd >= 0 && getsockname(probe->watch.fd, (struct sockaddr *)&local, &bytes) == 0)
		result.local_port = ntohs(local.sin6_port);
	timer_clear(&probe->timer);
	loop_close(&probe->watch);
	probe->done(probe->context, &result);
	loop_free(probe);
}

static void timed_out(struct timer *timer)
{
	finish(of_timer(timer), "timeout");
}

static bool say(struct probe *probe)
{
	if (send(probe->watch.fd, payload, probe->request.bytes, MSG_NOSIGNAL) >= 0)
		return true;
	finish(probe, error_name(errno));
	return false;
}

static void probe_ready(struct watch *watch, uint32_t events)
{
	struct probe *probe = (struct probe *)watch;
	static uint8_t buffer[PROBE_MAX_BYTES];

	if (!probe->connected) {
		int error = 0;
		socklen_t bytes = sizeof(error);

		getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
		if (error)
			return finish(probe, error_name(error));
		if (!(events & EPOLLOUT))
			return;
		probe->connected = true;
		loop_events(watch, EPOLLIN);
		say(probe);
		return;
	}
	ssize_t got = recv(watch->fd, buffer, sizeof(buffer), 0);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got < 0)
		return finish(probe, error_name(errno));
	if (got == 0 && probe->request.protocol != PROTOCOL_UDP)
		return finish(probe, "closed");
	probe->received += (uint32_t)got;
	if (probe->request.protocol == PROTOCOL_UDP || probe->received >= probe->request.bytes)
		finish(probe, "answered");
}

static bool bind_source(int fd, const struct probe_request *request)
{
	struct address source = request->source;
	int on = 1;

	if (source.bytes == 0 && request->local_port == 0)
		return true;
	if (source.bytes == 0)
		source = (struct address){.any.sa_family = request->to.any.sa_family, .bytes = request->to.bytes};
	source.v4.sin_port = htons(request->local_port); /* of both families at the same place */
	if (request->local_port == 0)
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	else
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(fd, &source.any, source.bytes) == 0;
}

int probe_socket(const struct probe_request *request)
{
	int type = request->protocol == PROTOCOL_UDP ? SOCK_DGRAM : SOCK_STREAM, on = 1;
	int fd = socket(request->to.any.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC,
		request->protocol == PROTOCOL_ASSOCIATION ? IPPROTO_SCTP : 0);

	if (fd >= 0 && request->protocol == PROTOCOL_TCP)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

void probe_start(const struct probe_request *request, probe_done done, void *context)
{
	if (request->protocol == PROTOCOL_ICMP || request->protocol == PROTOCOL_SCTP)
		return raw_probe_start(request, done, context);
	struct probe *probe = need(sizeof(*probe));
	bool is_udp = request->protocol == PROTOCOL_UDP;

	probe->request = *request;
	probe->done = done;
	probe->context = context;
	probe->started_ns = now_ns();
	probe->watch.ready = probe_ready;
	probe->watch.fd = -1;
	probe->timer.fire = timed_out;
	int fd = probe_socket(request);

	if (fd < 0)
		return finish(probe, error_name(errno));
	loop_watch(&probe->watch, fd, is_udp ? EPOLLIN : EPOLLOUT);
	if (!bind_source(fd, request))
		return finish(probe, error_name(errno));
	if (connect(fd, &request->to.any, request->to.bytes) < 0 && errno != EINPROGRESS)
		return finish(probe, error_name(errno));
	probe->connected = is_udp;
	if (probe->connected && !say(probe))
		return;
	timer_set(&probe->timer, probe->started_ns + request->timeout_ms * 1000000ull);
}
