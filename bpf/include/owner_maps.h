/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Sockets and their owners: written by owner.bpf.c, read where packets are judged. */
#ifndef WEIR_OWNER_MAPS_H
#define WEIR_OWNER_MAPS_H

#include "base.h"

/* Goes with the socket. One that is accepted begins with its listener's. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct owner);
} socket_owners SEC(".maps") DOC("socket -> the process whose it is; written by programs");

#endif
