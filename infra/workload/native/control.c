// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "drive.h"
#include "frame.h"
#include "loop.h"
#include "probe.h"
#include "raw.h"
#include "serve.h"

#define LINE_BYTES 65536
#define MAX_FIELDS 24
#define NAME_BYTES 64
#define DRAIN_LOOK_NS 10000000ull

struct client {
	struct watch watch; /* first: events come with it */
	uint32_t owed; /* answers to come: it is freed after them */
	size_t used;
	char line[LINE_BYTES];
};

struct question {
	struct timer timer;
	struct client *client;
	unsigned long id;
	struct drive *drive;
	uint64_t until_ns; /* answers are waited for */
	char name[NAME_BYTES];
};

struct named {
	struct named *next;
	struct drive *drive;
	char name[NAME_BYTES];
};

struct fields {
	size_t count;
	char *names[MAX_FIELDS], *values[MAX_FIELDS];
};

static struct named *drives;

/* A peer that does not read its answers ends the program: they would be lost unseen otherwise. */
static void write_all(int fd, const char *text, size_t bytes)
{
	while (bytes > 0) {
		ssize_t sent = send(fd, text, bytes, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return; /* it has gone away */
		text += sent;
		bytes -= (size_t)sent;
	}
}

static void answer(struct question *question, const char *value, const char *error)
{
	struct client *client = question->client;
	char *text;
	int bytes = error ? asprintf(&text, "{\"id\":%lu,\"ok\":false,\"error\":\"%s\"}\n", question->id, error)
	                  : asprintf(&text, "{\"id\":%lu,\"ok\":true,\"value\":%s}\n", question->id, value);

	if (bytes < 0)
		fail("memory");
	if (client->watch.fd >= 0)
		write_all(client->watch.fd, text, (size_t)bytes);
	free(text);
	loop_free(question);
	if (--client->owed == 0 && client->watch.fd < 0)
		loop_free(client);
}

static const char *text_of(const struct fields *fields, const char *name)
{
	for (size_t i = 0; i < fields->count; i++) {
		if (strcmp(fields->names[i], name) == 0)
			return fields->values[i];
	}
	return NULL;
}

static uint64_t number_of(const struct fields *fields, const char *name, uint64_t otherwise)
{
	const char *text = text_of(fields, name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static enum protocol protocol_of(const char *text)
{
	static const char *const names[] = {"", "tcp", "udp", "icmp", "sctp", "association"};

	for (int i = PROTOCOL_TCP; text && i <= PROTOCOL_ASSOCIATION; i++) {
		if (strcmp(text, names[i]) == 0)
			return (enum protocol)i;
	}
	return PROTOCOL_NONE;
}

/* NULL, or what is wrong. */
static const char *probe_of(const struct fields *fields, struct probe_request *request)
{
	const char *source = text_of(fields, "source");
	enum protocol protocol = protocol_of(text_of(fields, "proto"));

	*request = (struct probe_request){.protocol = protocol,
		.local_port = (uint16_t)number_of(fields, "local", 0),
		.timeout_ms = (uint32_t)number_of(fields, "timeout", 700),
		.bytes = (uint32_t)number_of(fields, "bytes", protocol == PROTOCOL_ICMP ? 56 : 16),
		.icmp_type = (uint8_t)number_of(fields, "type", 0),
		.token = number_of(fields, "token", 0)};
	if (protocol == PROTOCOL_NONE)
		return "proto must be tcp, udp, icmp, sctp or association";
	if (!address_parse(&request->to, text_of(fields, "host"), (uint16_t)number_of(fields, "port", 0)))
		return "host must be an address";
	if (source && !address_parse(&request->source, source, 0))
		return "source must be an address";
	if (source && request->source.any.sa_family != request->to.any.sa_family)
		return "source and host must be of one family";
	return request->bytes > PROBE_MAX_BYTES || request->bytes == 0 ? "bytes must be 1 to 65000" : NULL;
}

static void probed(void *context, const struct probe_result *result)
{
	char value[160];

	snprintf(value, sizeof(value), "{\"ok\":%s,\"outcome\":\"%s\",\"ms\":%.3f,\"localPort\":%u}",
		strcmp(result->outcome, "answered") == 0 ? "true" : "false", result->outcome, (double)result->ns / 1e6,
		result->local_port);
	answer(context, value, NULL);
}

/* Each of the ports, until one can't be served. */
static bool serve_each(const char *ports, bool (*serve)(uint16_t port))
{
	for (char *end; ports && *ports; ports = *end ? end + 1 : end) {
		if (!serve((uint16_t)strtoul(ports, &end, 10)))
			return false;
	}
	return true;
}

static void listen_on(struct question *question, const struct fields *fields)
{
	bool served_all = serve_each(text_of(fields, "tcp"), serve_tcp) &&
	                  serve_each(text_of(fields, "udp"), serve_udp) &&
	                  serve_each(text_of(fields, "sctp"), serve_sctp) &&
	                  serve_each(text_of(fields, "associations"), serve_associations) &&
	                  /* Without the capability for raw sockets: TCP and UDP all the same. */
	                  (raw_listen() || (errno == EPERM && !text_of(fields, "sctp")));

	answer(question, "null", served_all ? NULL : error_name(errno));
}

static struct named **named_place(const char *name)
{
	struct named **place = &drives;

	while (*place && strcmp((*place)->name, name) != 0)
		place = &(*place)->next;
	return place;
}

static void report(struct question *question, struct drive *drive)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	if (out == NULL)
		fail("memory");
	drive_report(drive, out);
	fclose(out);
	answer(question, text, NULL);
	free(text);
}

static void driving(void *context, const char *error)
{
	struct question *question = context;
	struct named *named = *named_place(question->name);

	if (error)
		answer(question, NULL, error);
	else if (named && named->drive)
		report(question, named->drive);
	else
		answer(question, "null", NULL); /* ready before drive_start returned */
}

static void start(struct question *question, const struct fields *fields)
{
	const char *name = text_of(fields, "name"), *kind = text_of(fields, "kind");
	struct drive_request request = {.hold = kind && strcmp(kind, "hold") == 0,
		.count = (uint32_t)number_of(fields, "count", 1),
		.tick_us = (uint32_t)number_of(fields, "tick_us", 10000),
		.stall_ms = (uint32_t)number_of(fields, "stall", 1000),
		.at_link_up = number_of(fields, "at_link_up", 0),
		.until_answered = number_of(fields, "until_answered", 0)};
	const char *wrong = probe_of(fields, &request.probe);

	if (wrong)
		return answer(question, NULL, wrong);
	if (request.hold && (request.probe.protocol == PROTOCOL_ICMP || request.probe.protocol == PROTOCOL_SCTP))
		return answer(question, NULL, "only tcp, udp and an association can be held");
	if (name == NULL || strlen(name) >= NAME_BYTES || request.tick_us == 0)
		return answer(question, NULL, "a name of at most 63 bytes and tick_us above 0 are needed");
	if (*named_place(name))
		return answer(question, NULL, "a drive of this name runs");
	struct named *named = need(sizeof(*named));

	strcpy(named->name, name);
	strcpy(question->name, name);
	named->next = drives;
	drives = named;
	named->drive = drive_start(&request, driving, question);
}

static void drained(struct timer *timer)
{
	struct question *question = (struct question *)timer; /* its first member */
	struct drive *drive = question->drive;
	uint64_t now = now_ns();

	if (now < question->until_ns && !drive_is_settled(drive))
		return timer_set(
			timer, now + DRAIN_LOOK_NS < question->until_ns ? now + DRAIN_LOOK_NS : question->until_ns);
	report(question, drive);
	drive_free(drive);
}

static void stop(struct question *question, const struct fields *fields, struct named **place)
{
	struct named *named = *place;

	question->drive = named->drive;
	question->timer.fire = drained;
	drive_quiet(named->drive);
	*place = named->next;
	loop_free(named);
	question->until_ns = now_ns() + number_of(fields, "drain", 0) * 1000000;
	drained(&question->timer);
}

static void ask(struct question *question, const char *op, const struct fields *fields)
{
	const char *name = text_of(fields, "name");
	struct named **place = named_place(name ? name : "");
	struct probe_request request;
	char value[200];

	if (strcmp(op, "listen") == 0)
		return listen_on(question, fields);
	if (strcmp(op, "probe") == 0) {
		const char *wrong = probe_of(fields, &request);

		return wrong ? answer(question, NULL, wrong) : probe_start(&request, probed, question);
	}
	if (strcmp(op, "await") == 0)
		return raw_await(
			number_of(fields, "token", 0), (uint32_t)number_of(fields, "timeout", 700), probed, question);
	if (strcmp(op, "start") == 0)
		return start(question, fields);
	if (strcmp(op, "frame") == 0) {
		const char *interface = text_of(fields, "interface"), *hex = text_of(fields, "hex");

		return answer(question, "null",
			interface && hex ? frame_send(interface, hex) : "interface and hex are needed");
	}
	if (strcmp(op, "served") == 0) {
		snprintf(value, sizeof(value),
			"{\"connections\":%lu,\"datagrams\":%lu,\"associations\":%lu,\"bytes\":%lu,\"unanswered\":%lu}",
			served.connections, served.datagrams, served.associations, served.bytes, served.unanswered);
		return answer(question, value, NULL);
	}
	if (strcmp(op, "report") != 0 && strcmp(op, "stop") != 0)
		return answer(question, NULL, "no such question");
	if (*place == NULL)
		return answer(question, NULL, "no drive of this name runs");
	return op[0] == 'r' ? report(question, (*place)->drive) : stop(question, fields, place);
}

static void asked(struct client *client, char *line)
{
	struct fields fields = {.count = 0};
	struct question *question = need(sizeof(*question));
	char *rest = NULL, *id = strtok_r(line, " ", &rest), *op = strtok_r(NULL, " ", &rest);

	client->owed++;
	question->client = client;
	question->id = id ? strtoul(id, NULL, 10) : 0;
	for (char *field; fields.count < MAX_FIELDS && (field = strtok_r(NULL, " ", &rest));) {
		char *equals = strchr(field, '=');

		if (equals == NULL)
			return answer(question, NULL, "a field is name=value");
		*equals = 0;
		fields.names[fields.count] = field;
		fields.values[fields.count++] = equals + 1;
	}
	if (op == NULL)
		return answer(question, NULL, "a question is ID OP name=value ...");
	ask(question, op, &fields);
}

static void client_gone(struct client *client)
{
	loop_close(&client->watch);
	if (client->owed == 0)
		loop_free(client);
}

static void client_ready(struct watch *watch, uint32_t events)
{
	struct client *client = (struct client *)watch;
	ssize_t got = recv(watch->fd, client->line + client->used, LINE_BYTES - client->used, MSG_DONTWAIT);

	(void)events;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0)
		return client_gone(client);
	client->used += (size_t)got;
	size_t from = 0;

	for (char *end; (end = memchr(client->line + from, '\n', client->used - from));) {
		*end = 0;
		asked(client, client->line + from);
		from = (size_t)(end + 1 - client->line);
	}
	memmove(client->line, client->line + from, client->used - from);
	client->used -= from;
	if (client->used == LINE_BYTES)
		client_gone(client); /* no question is that long */
}

static void client_came(struct watch *watch, uint32_t events)
{
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	struct client *client = need(sizeof(*client));

	client->watch.ready = client_ready;
	loop_watch(&client->watch, fd, EPOLLIN);
}

void control_listen(const char *path)
{
	static struct watch watch = {.ready = client_came};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path)) {
		fprintf(stderr, "--control %s is longer than %zu bytes\n", path, sizeof(address.sun_path) - 1);
		exit(1);
	}
	strcpy(address.sun_path, path);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 16) < 0)
		fail(path);
	loop_watch(&watch, fd, EPOLLIN);
}
