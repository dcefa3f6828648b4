/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What every header here needs: kernel types, helpers, the contract, and the
 * few words this code is written in.
 */
#ifndef WEIR_BASE_H
#define WEIR_BASE_H

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"

/* Goes into the BTF; codegen puts it beside the map or the variable. */
#define DOC(text) __attribute__((btf_decl_tag("doc:" text)))

#define INLINE static inline __attribute__((always_inline))

/*
 * A function of its own that the verifier checks once, by itself, whoever calls
 * it: pointers in are memory of the declared size or NULL, and must be checked.
 */
#define VERIFIED_ONCE __attribute__((noinline))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define NS_PER_SECOND 1000000000ull

/* Both ends must be WEIR_ALIGNED: 16 bytes in two moves. */
INLINE void address_copy(__u8 *to, const __u8 *from)
{
	__builtin_memcpy(__builtin_assume_aligned(to, 8), __builtin_assume_aligned(from, 8), 16);
}

INLINE bool address_equal(const __u8 *a, const __u8 *b)
{
	const __u64 *x = __builtin_assume_aligned(a, 8), *y = __builtin_assume_aligned(b, 8);

	return x[0] == y[0] && x[1] == y[1];
}

INLINE bool address_zero(const __u8 *a)
{
	const __u64 *x = __builtin_assume_aligned(a, 8);

	return (x[0] | x[1]) == 0;
}

#define ADDRESS_BITS 128

#endif
