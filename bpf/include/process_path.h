/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A path as its process sees it: from the file up to the process's root, over mounts, written from its end. The kernel's
 * bpf_d_path is for other programs than these. Names may change meanwhile: then the path is of before or of after, as for
 * anyone who asks.
 */
#ifndef WEIR_PROCESS_PATH_H
#define WEIR_PROCESS_PATH_H

#include "process.h"

#define NAME_MASK 255
#define PATH_STEPS 2048 /* names of one letter in a path of WEIR_PATH_BYTES, and as many mounts */

struct path_walk {
	__u8 *room; /* PATH_ROOM bytes */
	struct dentry *dentry;
	struct vfsmount *mnt;
	struct dentry *root_dentry;
	struct vfsmount *root_mnt;
	__u32 at; /* begin of what is written */
	__u32 cut;
};

static long path_step(__u32 index, void *context)
{
	struct path_walk *walk = context;
	__u8 *room = walk->room;
	struct dentry *dentry = walk->dentry, *parent;
	struct vfsmount *mnt = walk->mnt;
	struct mount *mount, *above;
	const unsigned char *name;
	__u32 length, at;

	if (dentry == walk->root_dentry && mnt == walk->root_mnt)
		return 1;
	parent = BPF_CORE_READ(dentry, d_parent);
	if (dentry == BPF_CORE_READ(mnt, mnt_root) || dentry == parent) {
		mount = (void *)mnt - bpf_core_field_offset(struct mount, mnt);
		above = BPF_CORE_READ(mount, mnt_parent);
		if (above != mount) {
			walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			walk->mnt = (void *)above + bpf_core_field_offset(struct mount, mnt);
			return 0;
		}
		/* the top; what never had a place has its name here (memfd:) */
		if (index > 0)
			return 1;
		parent = NULL;
	}
	length = BPF_CORE_READ(dentry, d_name.len) & NAME_MASK;
	name = BPF_CORE_READ(dentry, d_name.name);
	if (walk->at < length + 1) {
		walk->cut = 1;
		return 1;
	}
	at = (walk->at - length - 1) & (WEIR_PATH_BYTES - 1);
	if (bpf_probe_read_kernel(&room[at + 1], length, name)) {
		walk->cut = 1;
		return 1;
	}
	room[at] = '/';
	if (!parent) {
		walk->at = room[at + 1] == '/' ? at + 1 : at;
		return 1;
	}
	walk->at = at;
	walk->dentry = parent;
	return 0;
}

/*
 * Writes the path behind what `event` has; returns its length, 0 when there is none. A path that is too long has
 * its end there, and `cut` among the event's flags.
 */
INLINE __u32 tell_path(struct process_scratch *scratch, struct task_struct *task, struct path *path, __u32 cut)
{
	struct path_walk walk = {
		.room = scratch->path,
		.dentry = BPF_CORE_READ(path, dentry),
		.mnt = BPF_CORE_READ(path, mnt),
		.root_dentry = BPF_CORE_READ(task, fs, root.dentry),
		.root_mnt = BPF_CORE_READ(task, fs, root.mnt),
		.at = WEIR_PATH_BYTES - 1,
	};
	__u32 at, length, to = scratch->event.data_length;

	if (!walk.dentry || !walk.mnt)
		return 0;
	bpf_loop(PATH_STEPS, path_step, &walk, 0);
	if (walk.cut)
		scratch->event.flags |= cut;
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
	if (to > WEIR_PATH_BYTES)
		return 0;
	bpf_probe_read_kernel(&scratch->data[to], length, &scratch->path[at]);
	scratch->event.data_length = to + length;
	return length;
}

#endif
