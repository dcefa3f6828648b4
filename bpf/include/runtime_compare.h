/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What was read of a call, compared with what a filter says: services/lib/runtime-engine (plan/decide.ts) in the kernel. Of
 * what could not be read neither a filter holds nor its opposite.
 */
#ifndef WEIR_RUNTIME_COMPARE_H
#define WEIR_RUNTIME_COMPARE_H

#include "runtime_read.h"

#define NOT_READ -1
#define PRIVILEGED_PORT 1024
#define FILE_TYPE_MASK 0170000
#define RANGE_STEPS 15 /* log2(RUNTIME_RANGES) + 1 */

#define SIGN_BIT (1ull << 63)

/* Signed numbers in the order of unsigned ones. */
INLINE __u64 ordered(const struct runtime_filter *filter, __u64 number)
{
	return filter->flags & RUNTIME_SIGNED ? number ^ SIGN_BIT : number;
}

struct range_search {
	struct runtime_filter *filter;
	__u64 number;
	__u32 low;
	__u32 high;
	__u32 found;
	__u32 pad;
};

static long try_range(__u32 step, void *context)
{
	struct range_search *search = context;
	__u32 middle = (search->low + search->high) / 2, key = search->filter->first + middle;
	struct runtime_range *range = bpf_map_lookup_elem(&runtime_ranges, &key);

	if (search->low >= search->high || !range)
		return 1;
	if (search->number < ordered(search->filter, range->from)) {
		search->high = middle;
		return 0;
	}
	if (search->number > ordered(search->filter, range->to)) {
		search->low = middle + 1;
		return 0;
	}
	search->found = 1;
	return 1;
}

VERIFIED_ONCE int match_number(struct runtime_filter *filter, __u64 number)
{
	struct range_search search = {.filter = filter};

	if (!filter)
		return 0;
	if (!filter->table) {
		for (int i = 0; i < 4; i++)
			if (i < filter->values_count && filter->values[i] == number)
				return 1;
		return 0;
	}
	search.number = ordered(filter, number);
	search.high = filter->entries;
	bpf_loop(RANGE_STEPS, try_range, &search, 0);
	return search.found;
}

struct text_match {
	struct runtime_scratch *scratch;
	const __u8 *text;
	__u32 length;
	__u32 comparison;
	__u32 first;
	__u32 found;
};

static long try_text(__u32 index, void *context)
{
	struct text_match *match = context;
	struct runtime_scratch *scratch = match->scratch;
	__u32 key = match->first + index, length;
	struct runtime_text *text = bpf_map_lookup_elem(&runtime_texts, &key);
	const __u8 *from = match->text;

	if (!text)
		return 1;
	length = text->length;
	if (length > match->length || (match->comparison == RUNTIME_EQUAL && length != match->length))
		return 0;
	if (match->comparison == RUNTIME_POSTFIX)
		from += (match->length - length) & (2 * WEIR_PATH_BYTES - 1);
	if (length == 0) {
		match->found = 1;
		return 1;
	}
	barrier_var(length);
	if (length > RUNTIME_TEXT_BYTES || length == 0)
		return 0;
	scratch->window[((length - 1) >> 3) & (RUNTIME_TEXT_BYTES / 8 - 1)] = 0;
	if (bpf_probe_read_kernel(scratch->window, length, from))
		return 0;
	for (__u32 i = 0; i < RUNTIME_TEXT_BYTES / 8; i++) {
		if (i * 8 >= length)
			break;
		if (scratch->window[i] != text->words[i])
			return 0;
	}
	match->found = 1;
	return 1;
}

static __attribute__((noinline)) int match_text(
	struct runtime_scratch *scratch, struct runtime_filter *filter, const __u8 *text, __u32 length)
{
	struct text_match match = {.scratch = scratch, .text = text, .length = length};

	if (!scratch || !filter || filter->entries > RUNTIME_TEXTS)
		return 0;
	match.comparison = filter->comparison;
	match.first = filter->first;
	bpf_loop(filter->entries, try_text, &match, 0);
	return match.found;
}

struct prefix_match {
	const struct runtime_address *address;
	__u32 first;
	__u32 found;
};

static long try_prefix(__u32 index, void *context)
{
	struct prefix_match *match = context;
	__u32 key = match->first + index;
	struct runtime_prefix *prefix = bpf_map_lookup_elem(&runtime_prefixes, &key);
	const struct runtime_address *address = match->address;
	__u32 family;

	if (!prefix)
		return 1;
	family = address->family == ADDRESS_FAMILY_IPV4 ? 4 : 6;
	if (family != prefix->family || (address->address[0] & prefix->mask[0]) != prefix->address[0] ||
		(address->address[1] & prefix->mask[1]) != prefix->address[1])
		return 0;
	match->found = 1;
	return 1;
}

VERIFIED_ONCE int match_address(struct runtime_filter *filter, const struct runtime_address *address)
{
	struct prefix_match match = {.address = address};

	if (!filter || !address)
		return NOT_READ;
	match.first = filter->first;
	switch (filter->comparison) {
	case RUNTIME_FAMILY:
		return match_number(filter, address->family);
	case RUNTIME_SOURCE_PORT:
	case RUNTIME_SOURCE_PORT_PRIVILEGED:
	case RUNTIME_SOURCE_ADDRESS:
		break;
	default:
		return NOT_READ;
	}
	if (address->family != ADDRESS_FAMILY_IPV4 && address->family != ADDRESS_FAMILY_IPV6)
		return NOT_READ;
	if (filter->comparison == RUNTIME_SOURCE_PORT)
		return match_number(filter, address->port);
	if (filter->comparison == RUNTIME_SOURCE_PORT_PRIVILEGED)
		return address->port < PRIVILEGED_PORT;
	if (filter->entries > RUNTIME_PREFIXES)
		return 0;
	bpf_loop(filter->entries, try_prefix, &match, 0);
	return match.found;
}

INLINE __u64 number_in(const struct runtime_filter *filter, __u64 number)
{
	__u32 unused = 64 - filter->bits;

	if (filter->bits == 0 || filter->bits >= 64)
		return number;
	unused &= 63;
	return filter->flags & RUNTIME_SIGNED ? (__u64)((__s64)(number << unused) >> unused)
	                                      : number << unused >> unused;
}

VERIFIED_ONCE int match_register(struct runtime_filter *filter, __u64 read)
{
	__u64 number, value;

	if (!filter)
		return NOT_READ;
	number = number_in(filter, read);
	value = filter->values[0];
	switch (filter->comparison) {
	case RUNTIME_GREATER:
		return ordered(filter, number) > ordered(filter, value);
	case RUNTIME_LESS:
		return ordered(filter, number) < ordered(filter, value);
	case RUNTIME_MASK:
		return (number & value) != 0;
	default:
		return match_number(filter, number);
	}
}

VERIFIED_ONCE int match_value(
	struct runtime_scratch *scratch, struct runtime_filter *filter, struct runtime_value *value)
{
	__u32 at;

	if (!scratch || !filter || !value || value->kind == RUNTIME_VALUE_NONE)
		return NOT_READ;
	at = value->at;
	if (value->kind == RUNTIME_VALUE_NUMBER)
		return match_register(filter, value->number);
	barrier_var(at);
	if (at > RUNTIME_DATA_BYTES - WEIR_PATH_BYTES)
		return NOT_READ;
	if (value->kind == RUNTIME_VALUE_ADDRESS)
		return match_address(filter, (void *)&scratch->data[at]);
	if (filter->comparison == RUNTIME_FILE_TYPE)
		return value->kind == RUNTIME_VALUE_PATH ? match_number(filter, value->number & FILE_TYPE_MASK)
		                                         : NOT_READ;
	if (filter->comparison == RUNTIME_FAMILY)
		return value->kind == RUNTIME_VALUE_UNIX ? match_number(filter, value->number) : NOT_READ;
	/* a text where an address is asked for: it is of another family */
	if (filter->comparison != RUNTIME_EQUAL && filter->comparison != RUNTIME_PREFIX &&
		filter->comparison != RUNTIME_POSTFIX)
		return NOT_READ;
	/* its end, or all of it, is not known */
	if ((value->flags & RUNTIME_VALUE_CUT) && filter->comparison != RUNTIME_PREFIX &&
		value->kind != RUNTIME_VALUE_PATH)
		return NOT_READ;
	return match_text(scratch, filter, &scratch->data[at], value->length);
}

#endif
