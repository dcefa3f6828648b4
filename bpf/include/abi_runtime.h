/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Runtime policies: the part of the contract (abi.h) that says what is looked at when a process makes a call, and what is
 * told of it. Filters are those of services/lib/runtime-engine (plan/layout.ts), word for word.
 *
 * A site is a place where programs are run: a system call, by its number. A hook is what one policy wants at a site.
 */
#ifndef WEIR_ABI_RUNTIME_H
#define WEIR_ABI_RUNTIME_H

#ifndef WEIR_ALIGNED
#error "include abi.h"
#endif

enum weir_runtime_limits {
	RUNTIME_HOOKS = 512, /* of all policies of a host */
	RUNTIME_WORDS = 8, /* a bit for each hook */
	RUNTIME_SITES = 1024,
	RUNTIME_COMPAT = 512, /* sites of 32 bit programs' system calls begin here; no architecture has as many calls */
	RUNTIME_ARGS = 8, /* told of a call */
	RUNTIME_PLACES = 6, /* arguments that a call has */
	RUNTIME_SELECTORS = 5,
	RUNTIME_FILTERS = 64, /* of all selectors of a hook */
	RUNTIME_TEXTS = 8192, /* of all hooks */
	RUNTIME_TEXT_BYTES = 256,
	RUNTIME_RANGES = 16384, /* of all hooks */
	RUNTIME_PREFIXES = 4096, /* of all hooks */
	RUNTIME_CGROUPS = 65536, /* workloads x sets of them */
	RUNTIME_DATA_BYTES = 16384, /* texts of one call; what finds no room is told as not read */
	RUNTIME_PENDING = 8192, /* calls under way of which something is to be told when they return */
	RUNTIME_PENDING_BYTES = 3072, /* of their texts */
	RUNTIME_POSTED = 16384, /* what was told of and must not be told again at once */
	RUNTIME_ANCESTORS = 64, /* looked at */
	RUNTIME_NAMESPACES = 10,
	RUNTIME_EVENTS_BYTES = 4194304, /* ring buffer: some 15,000 events of a path each */
};

/* How an argument is read. */
enum weir_runtime_read {
	RUNTIME_READ_NOTHING = 0,
	RUNTIME_READ_NUMBER = 1,
	RUNTIME_READ_STRING = 2, /* a pointer to a text that ends with a NUL */
	RUNTIME_READ_BYTES = 3, /* a pointer, with its length in another argument */
	RUNTIME_READ_FD = 4, /* the file of a descriptor */
	RUNTIME_READ_SOCKADDR = 5,
	RUNTIME_READ_IOVEC = 6, /* the first of it */
};

enum weir_runtime_arg_flags {
	RUNTIME_ARG_RETURN = 1, /* read when the call returns, as long as it says */
};

struct runtime_arg {
	__u8 read; /* enum weir_runtime_read */
	__u8 place;
	__u8 size_place; /* of its length; 255: there is none */
	__u8 flags; /* enum weir_runtime_arg_flags */
};

enum weir_runtime_filter_kind {
	RUNTIME_FILTER_ARG = 0,
	RUNTIME_FILTER_DATA = 1,
	RUNTIME_FILTER_RETURN = 2,
	RUNTIME_FILTER_PID = 3,
	RUNTIME_FILTER_BINARY = 4,
	RUNTIME_FILTER_PARENT_BINARY = 5,
	RUNTIME_FILTER_NAMESPACE = 6,
	RUNTIME_FILTER_NAMESPACE_CHANGE = 7,
	RUNTIME_FILTER_CAPABILITY = 8,
	RUNTIME_FILTER_CAPABILITY_CHANGE = 9,
	RUNTIME_FILTER_WORKLOAD = 10,
};

enum weir_runtime_comparison {
	RUNTIME_EQUAL = 0,
	RUNTIME_GREATER = 1,
	RUNTIME_LESS = 2,
	RUNTIME_MASK = 3,
	RUNTIME_RANGE = 4,
	RUNTIME_IN_LIST = 5,
	RUNTIME_PREFIX = 6,
	RUNTIME_POSTFIX = 7,
	RUNTIME_SUBSTRING = 8,
	RUNTIME_SUBSTRING_ANY_CASE = 9,
	RUNTIME_FILE_TYPE = 10,
	RUNTIME_SOURCE_PORT = 11,
	RUNTIME_SOURCE_PORT_PRIVILEGED = 12,
	RUNTIME_DESTINATION_PORT = 13,
	RUNTIME_DESTINATION_PORT_PRIVILEGED = 14,
	RUNTIME_SOURCE_ADDRESS = 15,
	RUNTIME_DESTINATION_ADDRESS = 16,
	RUNTIME_PROTOCOL = 17,
	RUNTIME_FAMILY = 18,
	RUNTIME_STATE = 19,
	RUNTIME_CAPABILITIES_GAINED = 20,
};

enum weir_runtime_filter_flags {
	RUNTIME_NEGATED = 1,
	RUNTIME_SIGNED = 2,
	RUNTIME_FOLLOW = 4, /* ancestors count, too */
	RUNTIME_NAMESPACED = 8, /* the PID in its namespace; capabilities of another user namespace */
	RUNTIME_OF_HOST = 16, /* the host's namespace is one of the values */
};

/* Where a filter looks when four numbers do not hold what it compares with. */
enum weir_runtime_table {
	RUNTIME_TABLE_NONE = 0,
	RUNTIME_TABLE_TEXTS = 1,
	RUNTIME_TABLE_RANGES = 2,
	RUNTIME_TABLE_PREFIXES = 3,
};

struct runtime_filter {
	__u8 kind; /* enum weir_runtime_filter_kind */
	__u8 comparison; /* enum weir_runtime_comparison */
	__u8 slot; /* argument, namespace or set of capabilities */
	__u8 other_slot;
	__u8 flags; /* enum weir_runtime_filter_flags */
	__u8 values_count; /* of `values` */
	__u8 bits; /* of a number; 0: all */
	__u8 table; /* enum weir_runtime_table */
	__u32 first; /* of its table */
	__u32 entries; /* of its table; of a workload: the set's number stands in `first` */
	__u64 values[4];
};

enum weir_runtime_action {
	RUNTIME_ACTION_POST = 1,
	RUNTIME_ACTION_SIGNAL = 2, /* `signal` is sent */
	RUNTIME_ACTION_MONITORED = 4, /* it is counted instead */
};

enum weir_runtime_rate_scope {
	RUNTIME_RATE_THREAD = 0,
	RUNTIME_RATE_PROCESS = 1,
	RUNTIME_RATE_GLOBAL = 2,
};

struct runtime_actions {
	__u8 bits; /* enum weir_runtime_action */
	__u8 signal;
	__u8 rate_scope; /* enum weir_runtime_rate_scope */
	__u8 pad;
	__u32 rate_ms; /* the same is not told again within; 0: always */
};

/* All filters hold; the first selector of which that is true counts. */
struct runtime_selector {
	__u16 first;
	__u16 filters;
	__u16 return_filters; /* behind the others */
	__u16 pad;
	struct runtime_actions actions;
	struct runtime_actions return_actions;
};

enum weir_runtime_hook_flags {
	RUNTIME_HOOK_RETURNS = 1, /* told of when the call returns */
	RUNTIME_HOOK_SCOPED = 2, /* not for everybody */
	RUNTIME_HOOK_OF_HOST = 4, /* for processes of no workload */
	RUNTIME_HOOK_OF_WORKLOADS = 8, /* for those of `workloads` */
};

/* `runtime_hooks`. Written whole; what it refers to is there before, and stays until it is gone. */
struct runtime_hook {
	__u32 serial; /* of this hook alone, for ever: what is told names it */
	__u32 flags; /* enum weir_runtime_hook_flags */
	__u32 workloads; /* a set of them */
	__u8 args_count;
	__u8 selectors_count; /* none: every call is told of */
	__u8 return_read; /* enum weir_runtime_read */
	__u8 pad;
	struct runtime_arg args[8];
	struct runtime_selector selectors[5];
	struct runtime_filter filters[64];
};

/* `runtime_sites`: whom a call interests. Tried in this order. */
struct runtime_site {
	__u64 count; /* 0: nobody, and the rest is not looked at; else 1 */
	__u64 hooks[8]; /* a bit for each */
};

struct runtime_text {
	__u32 length;
	__u32 pad;
	__u64 words[32]; /* zeros behind its end */
};

/* Of a filter, in order, none overlapping. */
struct runtime_range {
	__u64 from;
	__u64 to;
};

struct runtime_prefix {
	__u32 family; /* 4 or 6 */
	__u32 bits; /* counted in 16 bytes */
	__u64 address[2]; /* in network order */
	__u64 mask[2];
};

/* A workload is its cgroup, or what is in its network namespace. */
struct runtime_member_key {
	__u32 set; /* 0: all workloads of this host */
	__u32 netns; /* inode number; 0: it is a cgroup */
	__u64 cgroup;
};

/* `runtime_counts`, by hook x (1 + selector); 0: of a hook without any. */
struct runtime_count {
	__u64 post;
	__u64 no_post;
	__u64 signal;
	__u64 monitor_signal;
	__u64 limited; /* not told of, because the same was a moment ago */
	__u64 lost; /* found no room */
	__u64 failed; /* signals that could not be sent */
};

enum weir_runtime_value {
	RUNTIME_VALUE_NONE = 0, /* it could not be read */
	RUNTIME_VALUE_NUMBER = 1,
	RUNTIME_VALUE_TEXT = 2,
	RUNTIME_VALUE_PATH = 3, /* `number`: its mode */
	RUNTIME_VALUE_UNIX = 4, /* `number`: its family */
	RUNTIME_VALUE_ADDRESS = 5, /* struct runtime_address */
};

enum weir_runtime_value_flags {
	RUNTIME_VALUE_CUT = 1, /* there was more */
};

struct runtime_value {
	__u64 number; /* the register as it was */
	__u32 at; /* of its text, behind the event */
	__u32 length;
	__u32 kind; /* enum weir_runtime_value */
	__u32 flags; /* enum weir_runtime_value_flags */
};

struct runtime_address {
	__u16 family; /* AF_... */
	__u16 port; /* host order */
	__u32 pad;
	__u64 address[2]; /* in network order, IPv4 mapped */
};

/* Behind it are `data_length` bytes. */
struct runtime_event {
	struct event_header header; /* EVENT_RUNTIME_CALL */
	__u64 exec_ns; /* of the process, its name; 0: it is not known */
	__u64 began_ns; /* the call, CLOCK_MONOTONIC */
	__s64 result; /* what the call returned */
	__u32 serial; /* of the hook */
	__u32 hook; /* its place */
	__u32 pid;
	__u32 tid;
	__s32 selector; /* -1: the hook has none */
	__u32 site;
	__u32 actions; /* enum weir_runtime_action, that were taken or counted */
	__u32 signal;
	__u32 returned; /* told when the call had returned */
	__u32 values_count;
	__u32 data_length;
	__u32 pad;
	struct runtime_value values[8];
	struct runtime_value result_value;
};

struct runtime_pending_key {
	__u64 thread;
	__u32 hook;
	__u32 pad;
};

#endif
