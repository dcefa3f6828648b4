// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "frame.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <sys/socket.h>

#include "address.h"

#define FRAME_MAX_BYTES 16384
#define ETHERNET_HEADER_BYTES 14

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *frame_send(const char *interface, const char *hex)
{
	static uint8_t frame[FRAME_MAX_BYTES];
	static int fd = -1;
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface)};
	size_t bytes = 0;

	if (to.sll_ifindex == 0)
		return "no such interface";
	for (; hex[0] && bytes < FRAME_MAX_BYTES; hex += 2) {
		if (digit(hex[0]) < 0 || digit(hex[1]) < 0)
			return "hex must be pairs of 0-9 and a-f";
		frame[bytes++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
	}
	if (hex[0] || bytes < ETHERNET_HEADER_BYTES)
		return "a frame has 14 to 16384 bytes";
	/* Protocol 0: it hears nothing. */
	if (fd < 0 && (fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0)
		return error_name(errno);
	/* ENOBUFS: a program at the interface dropped it, which is for who asked to find out. */
	if (sendto(fd, frame, bytes, 0, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != ENOBUFS)
		return error_name(errno);
	return NULL;
}
