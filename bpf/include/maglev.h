/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which slot of a Maglev table a connection has. The hash, the seed and the table are the same on every host, so
 * whichever host a packet comes to sends it to the same backend and remembers nothing.
 */
#ifndef WEIR_MAGLEV_H
#define WEIR_MAGLEV_H

#include "service.h"

INLINE __u32 rotated(__u32 word, int bits)
{
	return word << bits | word >> (32 - bits);
}

/* Bob Jenkins' lookup3 (public domain): its step between blocks of three words, and its end. */
#define MAGLEV_MIX(a, b, c) \
	({ \
		a -= c, a ^= rotated(c, 4), c += b; \
		b -= a, b ^= rotated(a, 6), a += c; \
		c -= b, c ^= rotated(b, 8), b += a; \
		a -= c, a ^= rotated(c, 16), c += b; \
		b -= a, b ^= rotated(a, 19), a += c; \
		c -= b, c ^= rotated(b, 4), b += a; \
	})
#define MAGLEV_END(a, b, c) \
	({ \
		c ^= b, c -= rotated(b, 14); \
		a ^= c, a -= rotated(c, 11); \
		b ^= a, b -= rotated(a, 25); \
		c ^= b, c -= rotated(b, 16); \
		a ^= c, a -= rotated(c, 4); \
		b ^= a, b -= rotated(a, 14); \
		c ^= b, c -= rotated(b, 24); \
	})

/* `sport` 0: clients, not their connections, are told apart. Words as they are on the wire. */
INLINE __u32 maglev_hash(const struct tuple *tuple, __be16 sport, const struct service_settings *settings)
{
	const __u32 *from = (const __u32 *)__builtin_assume_aligned(tuple->saddr, 8);
	const __u32 *to = (const __u32 *)__builtin_assume_aligned(tuple->daddr, 8);
	__u32 a = settings->hash_seed1, b = settings->hash_seed2, c = settings->hash_seed3;

	c += tuple->protocol;
	if (tuple->family == 6) {
		a += from[0], b += from[1], c += from[2];
		MAGLEV_MIX(a, b, c);
		a += to[0], b += to[1], c += to[2];
		MAGLEV_MIX(a, b, c);
	}
	a += from[3], b += to[3], c += (__u32)sport << 16 | tuple->dport;
	MAGLEV_END(a, b, c);
	return c;
}

/* Where a connection has been put, and by what. */
struct maglev_place {
	struct maglev_slot slot;
	__u32 table;
	__u32 number;
	__u32 hash;
	__u32 frontend;
};

/* False: there is no such table. A whole slot is read at once. */
INLINE bool maglev_place_of(const struct service *service, const struct tuple *tuple, struct maglev_place *to)
{
	const struct service_settings *settings = settings_of_services();
	__u32 size = service->maglev, place = service->maglev_place;
	union {
		__u64 whole;
		struct maglev_slot slot;
	} seen;
	const __u64 *slot;
	void *slots;

	to->table = service->table;
	slots = bpf_map_lookup_elem(&maglev_tables, &place);
	if (!slots || !settings || !size)
		return false;
	to->hash = maglev_hash(tuple, service->flags & SERVICE_AFFINITY ? 0 : tuple->sport, settings);
	to->number = (__u64)to->hash * size >> 32; /* as even as a remainder, without a division */
	to->frontend = service->frontend;
	slot = bpf_map_lookup_elem(slots, &to->number);
	if (!slot)
		return false;
	seen.whole = *(const volatile __u64 *)slot;
	to->slot = seen.slot;
	return true;
}

/* Number of the backend of a new connection to a frontend that has a Maglev table; 0 = nobody. */
INLINE __u32 maglev_backend(const struct service *service, const struct tuple *tuple)
{
	struct maglev_place place;

	return maglev_place_of(service, tuple, &place) ? place.slot.current : 0;
}

#endif
