/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, ports and the names of errors, in the words of the control socket. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t bytes; /* 0: none was given */
};

bool address_parse(struct address *address, const char *text, uint16_t port);
bool address_same_ip(const struct address *a, const struct address *b);
/* "answered" for 0, else ECONNREFUSED and the like. */
const char *error_name(int error);
/* Sends one datagram, from `source` when that is given. */
ssize_t send_from(int fd, const void *data, size_t bytes, const struct address *to, const struct address *source);
