/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The option that says what a client has asked for, as it is on the wire, for XDP and tc alike. The numbers and the place of
 * port and address are those of the IPv4 option that other programs of this kind send; nobody on the way has to know them
 * (both say: skip what you do not know).
 */
#ifndef WEIR_DSR_MARK_H
#define WEIR_DSR_MARK_H

#include "ipv6.h"
#include "service_maps.h"

#define DSR_OPTION4 0x9a /* copied into every fragment */
#define DSR_OPTION6 0x1b
#define DSR_OPTION6_UNITS 2 /* of 8 bytes, after the first */
#define DSR_OPTION6_BYTES 18
#define DSR_PADN 1

struct dsr_option4 {
	__u8 type;
	__u8 length;
	__be16 port;
	__be32 address;
};

/* A whole header of destination options with this one in it. */
struct dsr_option6 {
	__u8 next;
	__u8 units;
	__u8 type;
	__u8 length;
	__be32 address[4];
	__be16 port;
	__u8 pad_type;
	__u8 pad_length;
};

INLINE void fill_option4(struct dsr_option4 *option, const struct service_key *asked)
{
	option->type = DSR_OPTION4;
	option->length = sizeof(*option);
	option->port = asked->port;
	option->address = address_words(asked->addr)[3];
}

INLINE void fill_option6(struct dsr_option6 *option, const struct service_key *asked, __u8 next)
{
	option->next = next;
	option->units = DSR_OPTION6_UNITS;
	option->type = DSR_OPTION6;
	option->length = DSR_OPTION6_BYTES;
	__builtin_memcpy(option->address, __builtin_assume_aligned(asked->addr, 8), 16);
	option->port = asked->port;
	option->pad_type = DSR_PADN;
	option->pad_length = 0;
}

#endif
