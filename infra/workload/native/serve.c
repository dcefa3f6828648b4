// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "serve.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "address.h"
#include "loop.h"

#define BACKLOG 4096
#define BUFFER_BYTES 65536
/* A machine that is busy elsewhere for a tenth of a second is not a network that loses datagrams. */
#define SOCKET_BUFFER_BYTES (8 << 20)

struct served served;

/* An echoing connection. What could not be sent back yet is kept, and nothing more is read until it is. */
struct connection {
	struct watch watch; /* first: events come with it */
	uint8_t *kept;
	size_t kept_bytes;
};

static uint8_t buffer[BUFFER_BYTES];
static uint8_t tcp_ports[8192], udp_ports[8192], association_ports[8192]; /* a bit each */

static bool claim(uint8_t *ports, uint16_t port)
{
	bool is_new = !(ports[port / 8] & (1 << port % 8));

	ports[port / 8] |= 1 << port % 8;
	return is_new;
}

static int listening_socket(int type, int protocol, uint16_t port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_ANY_INIT};
	int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), on = 1, off = 0;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0)
		return fd;
	int error = errno;

	close(fd);
	errno = error;
	return -1;
}

static void connection_end(struct connection *connection)
{
	loop_close(&connection->watch);
	if (connection->kept)
		loop_free(connection->kept);
	loop_free(connection);
}

/* False when the connection is over. */
static bool give_back(struct connection *connection, const uint8_t *data, size_t bytes)
{
	ssize_t sent = send(connection->watch.fd, data, bytes, MSG_NOSIGNAL);

	if (sent < 0 && errno != EAGAIN)
		return false;
	size_t done = sent < 0 ? 0 : (size_t)sent;

	if (done < bytes) {
		if (connection->kept == NULL)
			connection->kept = need(BUFFER_BYTES);
		memmove(connection->kept, data + done, bytes - done);
	}
	connection->kept_bytes = bytes - done;
	loop_events(&connection->watch, connection->kept_bytes ? EPOLLOUT : EPOLLIN);
	return true;
}

static void connection_ready(struct watch *watch, uint32_t events)
{
	struct connection *connection = (struct connection *)watch;

	if (connection->kept_bytes > 0) {
		if ((events & (EPOLLERR | EPOLLHUP)) ||
			!give_back(connection, connection->kept, connection->kept_bytes))
			connection_end(connection);
		return;
	}
	ssize_t got = recv(watch->fd, buffer, sizeof(buffer), 0);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0)
		served.bytes += (uint64_t)got;
	if (got <= 0 || !give_back(connection, buffer, (size_t)got))
		connection_end(connection);
}

static void accept_ready(struct watch *watch, uint32_t events)
{
	(void)events;
	for (;;) {
		int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;

		if (fd < 0)
			return;
		struct connection *connection = need(sizeof(*connection));

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		connection->watch.ready = connection_ready;
		loop_watch(&connection->watch, fd, EPOLLIN);
		served.connections++;
	}
}

/* The answer leaves from the address that was asked: a host may have many. */
static void datagram_ready(struct watch *watch, uint32_t events)
{
	uint8_t control[256];
	struct sockaddr_in6 from;

	(void)events;
	for (;;) {
		struct iovec part = {.iov_base = buffer, .iov_len = sizeof(buffer)};
		struct msghdr message = {.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control)};
		ssize_t got = recvmsg(watch->fd, &message, 0);

		if (got < 0 && errno != EAGAIN && errno != EINTR)
			continue; /* an error that an answer of ours brought back */
		if (got < 0)
			return;
		struct address to = {.bytes = sizeof(from), .v6 = from}, source = {.bytes = 0};

		for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
			if (head->cmsg_level != IPPROTO_IPV6 || head->cmsg_type != IPV6_PKTINFO)
				continue;
			source.bytes = sizeof(source.v6);
			source.v6.sin6_family = AF_INET6;
			source.v6.sin6_addr = ((struct in6_pktinfo *)CMSG_DATA(head))->ipi6_addr;
		}
		served.datagrams++;
		served.bytes += (uint64_t)got;
		if (send_from(watch->fd, buffer, (size_t)got, &to, &source) < 0)
			served.unanswered++;
	}
}

static void watch_socket(int fd, void (*ready)(struct watch *, uint32_t))
{
	struct watch *watch = need(sizeof(*watch));

	watch->ready = ready;
	loop_watch(watch, fd, EPOLLIN);
}

static bool serve_stream(uint8_t *ports, int protocol, uint16_t port)
{
	if (!claim(ports, port))
		return true;
	int fd = listening_socket(SOCK_STREAM, protocol, port);

	if (fd < 0 || listen(fd, BACKLOG) < 0)
		return false;
	watch_socket(fd, accept_ready);
	return true;
}

bool serve_tcp(uint16_t port)
{
	return serve_stream(tcp_ports, IPPROTO_TCP, port);
}

bool serve_associations(uint16_t port)
{
	return serve_stream(association_ports, IPPROTO_SCTP, port);
}

/* Without CAP_NET_ADMIN as far as the machine allows. */
static void widen(int fd, int forced, int asked)
{
	int bytes = SOCKET_BUFFER_BYTES;

	if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, asked, &bytes, sizeof(bytes));
}

bool serve_udp(uint16_t port)
{
	int on = 1;

	if (!claim(udp_ports, port))
		return true;
	int fd = listening_socket(SOCK_DGRAM, 0, port);

	if (fd < 0)
		return false;
	widen(fd, SO_RCVBUFFORCE, SO_RCVBUF);
	widen(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	watch_socket(fd, datagram_ready);
	return true;
}
