/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Arguments of a call, out of registers and the caller's memory. Memory that is not there now cannot be waited for: what it
 * holds is told as not read, and no filter holds for it.
 */
#ifndef WEIR_RUNTIME_READ_H
#define WEIR_RUNTIME_READ_H

#include "runtime.h"

#define ADDRESS_FAMILY_UNIX 1
#define ADDRESS_FAMILY_IPV4 2
#define ADDRESS_FAMILY_IPV6 10
#define UNIX_PATH_BYTES 108
#define NO_PLACE 255

/* As it is in the caller's memory, of every family that is read. */
struct user_sockaddr {
	__u16 family;
	__be16 port;
	__u32 ip4;
	__u64 ip6[2];
};

struct user_iovec {
	__u64 base;
	__u64 length;
};

/* Room for one text; DATA_FULL when there is none. */
#define DATA_FULL 0xffffffff

INLINE __u32 text_room(struct runtime_scratch *scratch)
{
	__u32 at = (scratch->event.data_length + 7) & ~7u;

	return at <= RUNTIME_DATA_BYTES - WEIR_PATH_BYTES ? at : DATA_FULL;
}

INLINE void keep_text(struct runtime_scratch *scratch, struct runtime_value *value, __u32 at, __u32 length, __u32 kind)
{
	value->at = at;
	value->length = length;
	value->kind = kind;
	scratch->event.data_length = at + length;
}

INLINE void read_string(struct runtime_scratch *scratch, struct runtime_value *value)
{
	__u32 at = text_room(scratch);
	long length;

	barrier_var(at);
	if (at > RUNTIME_DATA_BYTES - WEIR_PATH_BYTES)
		return;
	length = bpf_probe_read_user_str(&scratch->data[at], WEIR_PATH_BYTES, (void *)value->number);
	if (length <= 0)
		return;
	if (length == WEIR_PATH_BYTES)
		value->flags |= RUNTIME_VALUE_CUT;
	keep_text(scratch, value, at, length - 1, RUNTIME_VALUE_TEXT);
}

INLINE void read_bytes(struct runtime_scratch *scratch, struct runtime_value *value, __u64 from, __u64 size)
{
	__u32 at = text_room(scratch), length = size;

	if (size >= WEIR_PATH_BYTES) {
		length = WEIR_PATH_BYTES - 1;
		value->flags |= RUNTIME_VALUE_CUT;
	}
	barrier_var(length);
	length &= WEIR_PATH_BYTES - 1;
	barrier_var(at);
	if (at > RUNTIME_DATA_BYTES - WEIR_PATH_BYTES)
		return;
	if (bpf_probe_read_user(&scratch->data[at], length, (void *)from))
		return;
	keep_text(scratch, value, at, length, RUNTIME_VALUE_TEXT);
}

INLINE void read_iovec(struct runtime_scratch *scratch, struct runtime_value *value)
{
	struct user_iovec first;

	if (!bpf_probe_read_user(&first, sizeof(first), (void *)value->number))
		read_bytes(scratch, value, first.base, first.length);
}

VERIFIED_ONCE int read_fd(struct runtime_scratch *scratch, struct runtime_value *value, __u64 whose)
{
	struct task_struct *task = (void *)whose;
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd), *file = NULL;
	struct path_walk walk = {.at = WEIR_PATH_BYTES - 1};
	__u32 fd, at, length, to;

	if (!scratch || !value)
		return 0;
	walk.room = scratch->path;
	fd = value->number;
	to = text_room(scratch);
	if (!table || fd >= BPF_CORE_READ(table, max_fds))
		return 0;
	if (bpf_probe_read_kernel(&file, sizeof(file), files + fd) || !file)
		return 0;
	walk.dentry = BPF_CORE_READ(file, f_path.dentry);
	walk.mnt = BPF_CORE_READ(file, f_path.mnt);
	walk.root_dentry = BPF_CORE_READ(task, fs, root.dentry);
	walk.root_mnt = BPF_CORE_READ(task, fs, root.mnt);
	if (!walk.dentry || !walk.mnt)
		return 0;
	bpf_loop(PATH_STEPS, path_step, &walk, 0);
	if (walk.cut)
		value->flags |= RUNTIME_VALUE_CUT;
	at = walk.at & (WEIR_PATH_BYTES - 1);
	if (at == WEIR_PATH_BYTES - 1) { /* the root itself */
		at = WEIR_PATH_BYTES - 2;
		scratch->path[at] = '/';
	}
	length = (WEIR_PATH_BYTES - 1 - at) & (WEIR_PATH_BYTES - 1);
	barrier_var(length);
	length &= WEIR_PATH_BYTES - 1;
	barrier_var(at);
	at &= WEIR_PATH_BYTES - 1;
	barrier_var(to);
	if (to > RUNTIME_DATA_BYTES - WEIR_PATH_BYTES)
		return 0;
	bpf_probe_read_kernel(&scratch->data[to], length, &scratch->path[at]);
	keep_text(scratch, value, to, length, RUNTIME_VALUE_PATH);
	value->number = BPF_CORE_READ(file, f_inode, i_mode);
	return 0;
}

INLINE void read_sockaddr(struct runtime_scratch *scratch, struct runtime_value *value)
{
	__u64 from = value->number;
	__u32 at = text_room(scratch);
	struct user_sockaddr name = {};
	struct runtime_address *address;
	long length;

	barrier_var(at);
	if (at > RUNTIME_DATA_BYTES - WEIR_PATH_BYTES ||
		bpf_probe_read_user(&name.family, sizeof(name.family), (void *)from))
		return;
	if (name.family == ADDRESS_FAMILY_UNIX) {
		length = bpf_probe_read_user_str(
			&scratch->data[at], UNIX_PATH_BYTES + 1, (void *)from + sizeof(name.family));
		if (length <= 0)
			return;
		keep_text(scratch, value, at, length - 1, RUNTIME_VALUE_UNIX);
		value->number = name.family;
		return;
	}
	address = (void *)&scratch->data[at];
	__builtin_memset(address, 0, sizeof(*address));
	address->family = name.family;
	if (name.family == ADDRESS_FAMILY_IPV4) {
		if (bpf_probe_read_user(&name, 8, (void *)from))
			return;
		address->address[1] = (__u64)name.ip4 << 32 | 0xffff0000ull;
	} else if (name.family == ADDRESS_FAMILY_IPV6) {
		if (bpf_probe_read_user(&name, sizeof(name), (void *)from))
			return;
		address->address[0] = name.ip6[0];
		address->address[1] = name.ip6[1];
	}
	address->port = bpf_ntohs(name.port);
	keep_text(scratch, value, at, sizeof(*address), RUNTIME_VALUE_ADDRESS);
}

INLINE void read_value(struct runtime_scratch *scratch, struct runtime_value *value, __u32 how, __u32 size_place,
	struct task_struct *task)
{
	switch (how) {
	case RUNTIME_READ_NUMBER:
		value->kind = RUNTIME_VALUE_NUMBER;
		break;
	case RUNTIME_READ_STRING:
		read_string(scratch, value);
		break;
	case RUNTIME_READ_BYTES:
		if (size_place < RUNTIME_PLACES)
			read_bytes(scratch, value, value->number, scratch->registers[size_place & 7]);
		break;
	case RUNTIME_READ_FD:
		read_fd(scratch, value, (__u64)task);
		break;
	case RUNTIME_READ_SOCKADDR:
		read_sockaddr(scratch, value);
		break;
	case RUNTIME_READ_IOVEC:
		read_iovec(scratch, value);
		break;
	}
}

static long read_arg(__u32 index, void *context)
{
	struct runtime_call *call = context;
	struct runtime_scratch *scratch = call->scratch;
	struct runtime_hook *hook = call->hook;
	struct runtime_value *value;
	struct runtime_arg *arg;

	if (index >= hook->args_count || index >= RUNTIME_ARGS)
		return 1;
	arg = &hook->args[index & (RUNTIME_ARGS - 1)];
	value = &scratch->event.values[index & (RUNTIME_ARGS - 1)];
	value->number = scratch->registers[arg->place & 7];
	value->kind = RUNTIME_VALUE_NONE;
	value->at = value->length = value->flags = 0;
	if (!(arg->flags & RUNTIME_ARG_RETURN))
		read_value(scratch, value, arg->read, arg->size_place, call->task);
	return 0;
}

/* Those that the call fills: as long as it says. */
static long read_returned(__u32 index, void *context)
{
	struct runtime_call *call = context;
	struct runtime_scratch *scratch = call->scratch;
	struct runtime_hook *hook = call->hook;
	struct runtime_value *value;
	struct runtime_arg *arg;
	__s64 size = scratch->event.result;

	if (index >= hook->args_count || index >= RUNTIME_ARGS)
		return 1;
	arg = &hook->args[index & (RUNTIME_ARGS - 1)];
	value = &scratch->event.values[index & (RUNTIME_ARGS - 1)];
	if (!(arg->flags & RUNTIME_ARG_RETURN))
		return 0;
	if (arg->read == RUNTIME_READ_BYTES && size >= 0)
		read_bytes(scratch, value, value->number, size);
	else if (arg->read != RUNTIME_READ_BYTES)
		read_value(scratch, value, arg->read, arg->size_place, call->task);
	return 0;
}

#endif
