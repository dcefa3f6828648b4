// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "address.h"

#include <arpa/inet.h>
#include <string.h>

bool address_parse(struct address *address, const char *text, uint16_t port)
{
	memset(address, 0, sizeof(*address));
	if (text == NULL)
		return false;
	if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1) {
		address->v4.sin_family = AF_INET;
		address->v4.sin_port = htons(port);
		address->bytes = sizeof(address->v4);
		return true;
	}
	if (inet_pton(AF_INET6, text, &address->v6.sin6_addr) == 1) {
		address->v6.sin6_family = AF_INET6;
		address->v6.sin6_port = htons(port);
		address->bytes = sizeof(address->v6);
		return true;
	}
	return false;
}

bool address_same_ip(const struct address *a, const struct address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	return a->any.sa_family == AF_INET ? a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr
	                                   : memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, 16) == 0;
}

const char *error_name(int error)
{
	const char *name = error == 0 ? "answered" : strerrorname_np(error);

	return name ? name : "unknown";
}

ssize_t send_from(int fd, const void *data, size_t bytes, const struct address *to, const struct address *source)
{
	union {
		struct cmsghdr head;
		uint8_t room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control;
	struct iovec part = {.iov_base = (void *)data, .iov_len = bytes};
	struct msghdr message = {
		.msg_name = (void *)&to->any, .msg_namelen = to->bytes, .msg_iov = &part, .msg_iovlen = 1};

	if (source && source->bytes) {
		memset(&control, 0, sizeof(control));
		message.msg_control = &control;
		if (source->any.sa_family == AF_INET) {
			struct in_pktinfo info = {.ipi_spec_dst = source->v4.sin_addr};

			message.msg_controllen = CMSG_SPACE(sizeof(info));
			control.head = (struct cmsghdr){
				.cmsg_len = CMSG_LEN(sizeof(info)), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
			memcpy(CMSG_DATA(&control.head), &info, sizeof(info));
		} else {
			struct in6_pktinfo info = {.ipi6_addr = source->v6.sin6_addr};

			message.msg_controllen = CMSG_SPACE(sizeof(info));
			control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(info)),
				.cmsg_level = IPPROTO_IPV6,
				.cmsg_type = IPV6_PKTINFO};
			memcpy(CMSG_DATA(&control.head), &info, sizeof(info));
		}
	}
	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}
