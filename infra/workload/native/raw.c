// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "raw.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "sctp.h"
#include "serve.h"

#define BUCKETS 4096
#define SEEN 1024
#define IP4_MIN_BYTES 20
#define MAGIC 0x7765697270726f62ull /* "weirprob" */

enum icmp_kind { ECHO_REPLY4 = 0, ECHO_REQUEST4 = 8, ECHO_REQUEST6 = 128, ECHO_REPLY6 = 129 };

struct icmp_message {
	uint8_t type, code;
	uint16_t checksum, ident, sequence;
	uint64_t magic, token; /* of ours, behind the eight bytes that every type has */
} __attribute__((packed));

struct pending {
	struct timer timer;
	struct pending *next, **link;
	struct address to;
	probe_done done;
	void *context;
	uint64_t started_ns, key;
	uint16_t local_port;
};

/* One socket a protocol and family: another for each probe would get a copy of everything. */
static struct watch sockets[2][2] = {{{.fd = -1}, {.fd = -1}}, {{.fd = -1}, {.fd = -1}}};
static struct pending *buckets[BUCKETS];
static uint64_t seen[SEEN];
static size_t seen_next;
static uint8_t sctp_ports[8192];
static uint16_t next_ident;

static void raw_ready(struct watch *watch, uint32_t events);

static struct watch *raw_socket(enum protocol protocol, sa_family_t family)
{
	struct watch *watch = &sockets[protocol == PROTOCOL_SCTP][family == AF_INET6];
	int icmp = family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6, bytes = 1 << 20, on = 1;

	if (watch->fd >= 0)
		return watch;
	if (next_ident == 0)
		next_ident = (uint16_t)(getpid() | 1);
	int fd = socket(
		family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol == PROTOCOL_SCTP ? IPPROTO_SCTP : icmp);

	if (fd < 0)
		return NULL;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	watch->ready = raw_ready;
	loop_watch(watch, fd, EPOLLIN);
	return watch;
}

bool raw_listen(void)
{
	return raw_socket(PROTOCOL_ICMP, AF_INET) && raw_socket(PROTOCOL_ICMP, AF_INET6);
}

bool serve_sctp(uint16_t port)
{
	sctp_ports[port / 8] |= 1 << port % 8;
	return raw_socket(PROTOCOL_SCTP, AF_INET) && raw_socket(PROTOCOL_SCTP, AF_INET6);
}

static void finish(struct pending *pending, const char *outcome)
{
	struct probe_result result = {.outcome = outcome,
		.started_ns = pending->started_ns,
		.ns = now_ns() - pending->started_ns,
		.local_port = pending->local_port};

	timer_clear(&pending->timer);
	if (pending->link) {
		*pending->link = pending->next;
		if (pending->next)
			pending->next->link = pending->link;
	}
	pending->done(pending->context, &result);
	loop_free(pending);
}

static void timed_out(struct timer *timer)
{
	finish((struct pending *)timer, "timeout"); /* its first member */
}

static struct pending *pending_new(uint64_t key, uint32_t timeout_ms, probe_done done, void *context)
{
	struct pending *pending = need(sizeof(*pending));
	struct pending **bucket = &buckets[key % BUCKETS];

	pending->key = key;
	pending->done = done;
	pending->context = context;
	pending->started_ns = now_ns();
	pending->timer.fire = timed_out;
	timer_set(&pending->timer, pending->started_ns + timeout_ms * 1000000ull);
	pending->next = *bucket;
	pending->link = bucket;
	if (*bucket)
		(*bucket)->link = &pending->next;
	*bucket = pending;
	return pending;
}

static struct pending *pending_find(uint64_t key, const struct address *from)
{
	struct pending *pending = buckets[key % BUCKETS];

	while (pending && (pending->key != key || (from && !address_same_ip(&pending->to, from))))
		pending = pending->next;
	return pending;
}

/* Keys of the three kinds never meet: a token has its highest bit set, an SCTP tag bit 40. */
static uint64_t token_key(uint64_t token)
{
	return token | 1ull << 63;
}

static uint64_t tag_key(uint32_t tag)
{
	return tag | 1ull << 40;
}

void raw_await(uint64_t token, uint32_t timeout_ms, probe_done done, void *context)
{
	struct pending *pending = pending_new(token_key(token), timeout_ms, done, context);

	for (size_t i = 0; i < SEEN; i++) {
		if (seen[i] == token_key(token))
			return finish(pending, "answered");
	}
}

static uint16_t internet_checksum(const uint8_t *data, size_t bytes)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < bytes; i += 2)
		sum += (uint32_t)data[i] << 8 | data[i + 1];
	if (bytes % 2)
		sum += (uint32_t)data[bytes - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static bool is_echo(sa_family_t family, uint8_t type)
{
	return type == (family == AF_INET ? ECHO_REQUEST4 : ECHO_REQUEST6);
}

static void transmit(struct pending *pending, struct watch *watch, const void *data, size_t bytes,
	const struct probe_request *request, bool expects)
{
	struct address to = request->to;

	pending->to = request->to;
	to.v4.sin_port = 0; /* a raw socket takes it for a protocol */
	if (send_from(watch->fd, data, bytes, &to, &request->source) < 0)
		finish(pending, error_name(errno));
	else if (!expects)
		finish(pending, "sent");
}

static void icmp_start(const struct probe_request *request, struct watch *watch, probe_done done, void *context)
{
	static uint8_t packet[sizeof(struct icmp_message) + PROBE_MAX_BYTES];
	struct icmp_message *message = (struct icmp_message *)packet;
	sa_family_t family = request->to.any.sa_family;
	uint8_t echo = family == AF_INET ? ECHO_REQUEST4 : ECHO_REQUEST6;
	size_t bytes = 8 + request->bytes;
	uint16_t ident = next_ident;

	next_ident = (uint16_t)(next_ident + 1 ? next_ident + 1 : 1);
	if (bytes < sizeof(*message))
		bytes = request->token ? sizeof(*message) : bytes;
	memset(packet, 'w', bytes);
	*message = (struct icmp_message){.type = request->icmp_type ? request->icmp_type : echo,
		.ident = htons(ident),
		.sequence = htons(1),
		.magic = htobe64(MAGIC),
		.token = htobe64(request->token)};
	if (family == AF_INET)
		message->checksum = internet_checksum(packet, bytes);
	struct pending *pending = pending_new(ident, request->timeout_ms, done, context);

	pending->local_port = ident;
	transmit(pending, watch, packet, bytes, request, is_echo(family, message->type));
}

static void sctp_start(const struct probe_request *request, struct watch *watch, probe_done done, void *context)
{
	struct {
		uint32_t tag;
		uint16_t port;
	} chance;
	uint8_t packet[SCTP_MAX_BYTES];

	if (getrandom(&chance, sizeof(chance), 0) != (ssize_t)sizeof(chance))
		fail("getrandom");
	chance.tag |= 1; /* 0 is no tag */
	uint16_t port = request->local_port ? request->local_port : (uint16_t)(32768 + chance.port % 28000);
	size_t bytes = sctp_init(packet, port, ntohs(request->to.v4.sin_port), chance.tag);
	struct pending *pending = pending_new(tag_key(chance.tag), request->timeout_ms, done, context);

	pending->local_port = port;
	transmit(pending, watch, packet, bytes, request, true);
}

void raw_probe_start(const struct probe_request *request, probe_done done, void *context)
{
	struct watch *watch = raw_socket(request->protocol, request->to.any.sa_family);

	if (watch == NULL) {
		struct probe_result result = {.outcome = error_name(errno), .started_ns = now_ns()};

		done(context, &result);
	} else if (request->protocol == PROTOCOL_ICMP) {
		icmp_start(request, watch, done, context);
	} else {
		sctp_start(request, watch, done, context);
	}
}

static void icmp_arrived(const struct address *from, const uint8_t *data, size_t bytes)
{
	const struct icmp_message *message = (const struct icmp_message *)data;
	uint8_t reply = from->any.sa_family == AF_INET ? ECHO_REPLY4 : ECHO_REPLY6;

	if (bytes < 8)
		return;
	if (message->type == reply) {
		struct pending *pending = pending_find(ntohs(message->ident), from);

		if (pending)
			return finish(pending, "answered");
	}
	if (bytes < sizeof(*message) || message->magic != htobe64(MAGIC) || message->token == 0)
		return;
	uint64_t key = token_key(be64toh(message->token));
	struct pending *pending = pending_find(key, NULL);

	seen[seen_next++ % SEEN] = key;
	if (pending)
		finish(pending, "answered");
}

static void sctp_arrived(
	struct watch *watch, const struct address *from, const struct address *at, const uint8_t *data, size_t bytes)
{
	struct sctp_summary summary;

	if (!sctp_read(data, bytes, &summary))
		return;
	if (summary.chunk == SCTP_CHUNK_INIT) {
		uint16_t port = summary.to_port;
		bool open = sctp_ports[port / 8] & (1 << port % 8);
		uint8_t packet[SCTP_MAX_BYTES];
		size_t size = open ? sctp_init_ack(packet, &summary) : sctp_abort(packet, &summary);

		served.associations += open;
		send_from(watch->fd, packet, size, from, at);
		return;
	}
	struct pending *pending = pending_find(tag_key(summary.verification_tag), from);

	if (pending && summary.chunk == SCTP_CHUNK_INIT_ACK)
		finish(pending, "answered");
	else if (pending && summary.chunk == SCTP_CHUNK_ABORT)
		finish(pending, "ECONNREFUSED");
}

/* The address that a packet came to: in its header with IPv4; of IPv6, raw sockets show no header but tell. */
static struct address arrived_at(const struct msghdr *message, const uint8_t *packet, bool is_v4)
{
	struct address at = {.bytes = 0};

	if (is_v4) {
		at.v4.sin_family = AF_INET;
		at.bytes = sizeof(at.v4);
		memcpy(&at.v4.sin_addr, packet + 16, 4);
		return at;
	}
	for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR((struct msghdr *)message, head)) {
		if (head->cmsg_level != IPPROTO_IPV6 || head->cmsg_type != IPV6_PKTINFO)
			continue;
		at.v6.sin6_family = AF_INET6;
		at.bytes = sizeof(at.v6);
		at.v6.sin6_addr = ((struct in6_pktinfo *)CMSG_DATA(head))->ipi6_addr;
	}
	return at;
}

static void raw_ready(struct watch *watch, uint32_t events)
{
	static uint8_t packet[65536];
	uint8_t control[256];
	bool is_sctp = watch == &sockets[1][0] || watch == &sockets[1][1];
	bool is_v4 = watch == &sockets[0][0] || watch == &sockets[1][0];

	(void)events;
	for (;;) {
		struct address from;
		struct iovec part = {.iov_base = packet, .iov_len = sizeof(packet)};
		struct msghdr message = {.msg_name = &from.any,
			.msg_namelen = sizeof(from.v6),
			.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control)};
		ssize_t got = recvmsg(watch->fd, &message, 0);

		if (got < 0 && errno != EAGAIN && errno != EINTR)
			continue;
		if (got < 0)
			return;
		size_t header = is_v4 && got >= IP4_MIN_BYTES ? (size_t)(packet[0] & 15) * 4 : 0;

		if (header > (size_t)got)
			continue;
		from.bytes = message.msg_namelen;
		from.v4.sin_port = 0; /* a protocol is there; of both families at the same place */
		struct address at = arrived_at(&message, packet, is_v4);

		if (is_sctp)
			sctp_arrived(watch, &from, &at, packet + header, (size_t)got - header);
		else
			icmp_arrived(&from, packet + header, (size_t)got - header);
	}
}
