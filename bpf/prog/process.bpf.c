/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Every process of this host: who it is, whose child, with which image, and how it ended. `processes` has those that run
 * now, and outlives the agent; events tell the rest.
 *
 * Two of these programs may run side by side while one agent takes over from another: what the first has told, the second
 * finds in the map and does not tell again.
 */
#include "process.h"

#include <bpf/bpf_tracing.h>

#include "process_memory.h"
#include "process_path.h"

#define PF_EXITING 0x4
#define PF_KTHREAD 0x200000
#define SIGNAL_GROUP_EXIT 0x4
#define S_ISUID 04000
#define S_ISGID 02000

INLINE void tell_binary(struct process_scratch *scratch, struct task_struct *task, struct file *file)
{
	struct process_event *event = &scratch->event;
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	if (!file)
		return;
	event->inode = BPF_CORE_READ(inode, i_ino);
	event->device = BPF_CORE_READ(inode, i_sb, s_dev);
	event->links = BPF_CORE_READ(inode, i_nlink);
	event->file_mode = BPF_CORE_READ(inode, i_mode);
	if (!event->links)
		event->flags |= PROCESS_NO_FILE;
	event->binary_length = tell_path(scratch, task, &file->f_path, PROCESS_BINARY_CUT);
}

INLINE void tell_cwd(struct process_scratch *scratch, struct task_struct *task)
{
	struct process_event *event = &scratch->event;
	struct fs_struct *fs = BPF_CORE_READ(task, fs);

	if (fs)
		event->cwd_length = tell_path(scratch, task, &fs->pwd, PROCESS_CWD_CUT);
	if (!event->cwd_length)
		event->flags |= PROCESS_NO_CWD;
	else if (event->cwd_length == 1)
		event->flags |= PROCESS_ROOT_CWD;
}

INLINE __u32 wanted(__u64 size, __u32 most)
{
	return size < most ? size : most;
}

/* Of the image that the current process has just begun. */
INLINE void tell_memory(struct process_scratch *scratch, struct task_struct *task)
{
	struct process_event *event = &scratch->event;
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct memory_read args = {.from = BPF_CORE_READ(mm, arg_start), .what = PROCESS_DATA_ARGS};
	struct memory_read env = {.from = BPF_CORE_READ(mm, env_start), .what = PROCESS_DATA_ENV};

	event->args_size = BPF_CORE_READ(mm, arg_end) - args.from;
	event->env_size = BPF_CORE_READ(mm, env_end) - env.from;
	args.size = wanted(event->args_size, process_args_bytes);
	env.size = wanted(event->env_size, process_env_bytes);
	send_pieces(&args);
	send_pieces(&env);
	event->args_length = tell_rest(scratch, &args);
	event->env_length = tell_rest(scratch, &env);
	event->args_sent = args.sent;
	event->env_sent = env.sent;
	if (args.failed)
		event->flags |= PROCESS_ARGS_FAILED;
	if (env.failed)
		event->flags |= PROCESS_ENV_FAILED;
	if (args.sent < event->args_size)
		event->flags |= PROCESS_ARGS_CUT;
	if (process_env_bytes && env.sent < event->env_size)
		event->flags |= PROCESS_ENV_CUT;
}

/* The name of its parent: as the map has it, else as it would be if it had always been there. */
INLINE void tell_parent(struct process_event *event, struct task_struct *task)
{
	struct task_struct *parent = BPF_CORE_READ(task, real_parent);
	__u32 pid = BPF_CORE_READ(parent, tgid);
	struct process *known = bpf_map_lookup_elem(&processes, &pid);

	event->parent_pid = pid;
	event->parent_exec_ns = known ? known->exec_ns : BPF_CORE_READ(parent, group_leader, start_boottime);
}

/* What the event says, for whoever has the pid. */
INLINE void keep(struct process_scratch *scratch, struct task_struct *task, __u64 flags)
{
	struct process_event *event = &scratch->event;
	struct process *entry = &scratch->entry;
	__u32 length = event->binary_length;
	__u32 pid = event->pid;

	__builtin_memset(entry, 0, sizeof(*entry));
	entry->exec_ns = event->exec_ns;
	entry->parent_exec_ns = event->parent_exec_ns;
	entry->start_ns = event->start_ns;
	entry->self_exec_id = BPF_CORE_READ(task, self_exec_id);
	entry->cgroup_id = event->cgroup_id;
	entry->cap_permitted = event->cap_permitted;
	entry->inode = event->inode;
	entry->device = event->device;
	entry->parent_pid = event->parent_pid;
	entry->uid = event->uid;
	entry->gid = event->gid;
	entry->euid = event->euid;
	entry->egid = event->egid;
	entry->auid = event->auid;
	entry->netns = event->ns_net;
	entry->flags = event->flags;
	entry->binary_length = length;
	if (length > WEIR_BINARY_BYTES - 1)
		length = WEIR_BINARY_BYTES - 1;
	barrier_var(length);
	length &= WEIR_BINARY_BYTES - 1;
	bpf_probe_read_kernel(entry->binary, length, scratch->data);
	if (bpf_map_update_elem(&processes, &pid, entry, flags) && flags != BPF_NOEXIST)
		count_process(PROCESS_COUNT_MAP_FULL);
}

INLINE bool is_same(const struct process *known, struct task_struct *task)
{
	return known->start_ns == BPF_CORE_READ(task, group_leader, start_boottime) &&
	       known->self_exec_id == BPF_CORE_READ(task, self_exec_id);
}

INLINE void tell_privileges(
	struct process_event *event, struct task_struct *task, const struct process *before, struct linux_binprm *bprm)
{
	if (BPF_CORE_READ_BITFIELD_PROBED(bprm, secureexec))
		event->flags |= PROCESS_SECURE;
	if (!before)
		return;
	if ((event->file_mode & S_ISUID) && event->euid != before->euid)
		event->flags |= PROCESS_SETUID;
	if ((event->file_mode & S_ISGID) && event->egid != before->egid)
		event->flags |= PROCESS_SETGID;
	if (event->cap_permitted & ~before->cap_permitted)
		event->flags |= PROCESS_RAISED;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct process_scratch *scratch = this_scratch();
	struct process_event *event;
	struct process *before;
	__u32 pid;

	if (!scratch || !is_ours(task))
		return 0;
	pid = BPF_CORE_READ(task, tgid);
	before = bpf_map_lookup_elem(&processes, &pid);
	if (before && is_same(before, task))
		return 0;
	event = &scratch->event;
	tell_task(event, task);
	event->tid = old_pid;
	event->exec_ns = bpf_ktime_get_boot_ns();
	if (before && before->start_ns == event->start_ns) {
		event->previous_exec_ns = before->exec_ns;
		event->parent_pid = before->parent_pid;
		event->parent_exec_ns = before->parent_exec_ns;
	} else {
		before = NULL;
		tell_parent(event, task);
	}
	tell_binary(scratch, task, BPF_CORE_READ(bprm, file));
	tell_privileges(event, task, before, bprm);
	tell_cwd(scratch, task);
	keep(scratch, task, BPF_ANY);
	tell_memory(scratch, task);
	send_event(scratch, EVENT_PROCESS_EXEC, PROCESS_COUNT_EXEC);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct process_scratch *scratch = this_scratch();
	struct process *known, *image, *entry;
	struct process_event *event;
	__u32 pid, maker;

	/* a thread is no process */
	if (!scratch || BPF_CORE_READ(child, pid) != BPF_CORE_READ(child, tgid) || !is_ours(child))
		return 0;
	if (BPF_CORE_READ(child, flags) & PF_KTHREAD)
		return 0;
	pid = BPF_CORE_READ(child, tgid);
	known = bpf_map_lookup_elem(&processes, &pid);
	if (known && is_same(known, child))
		return 0;
	event = &scratch->event;
	tell_task(event, child);
	tell_parent(event, child);
	event->exec_ns = bpf_ktime_get_boot_ns();
	event->flags = PROCESS_CLONE;
	/* it goes on with the image of whoever made it, which need not be its parent (CLONE_PARENT) */
	maker = BPF_CORE_READ(parent, tgid);
	image = bpf_map_lookup_elem(&processes, &maker);
	if (image) {
		event->inode = image->inode;
		event->device = image->device;
	}
	keep(scratch, child, BPF_ANY);
	entry = bpf_map_lookup_elem(&processes, &pid);
	if (entry && image) {
		__builtin_memcpy(entry->binary, image->binary, sizeof(entry->binary));
		entry->binary_length = image->binary_length;
	}
	send_event(scratch, EVENT_PROCESS_FORK, PROCESS_COUNT_FORK);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	struct process_scratch *scratch = this_scratch();
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	struct process_event *event;
	struct process *known;
	__u32 pid;

	/* two last threads may both come here: the one that takes the entry away tells */
	if (!scratch || BPF_CORE_READ(signal, live.counter) > 0)
		return 0;
	pid = BPF_CORE_READ(task, tgid);
	known = bpf_map_lookup_elem(&processes, &pid);
	if (!known)
		return 0;
	event = &scratch->event;
	tell_task(event, task);
	event->exec_ns = known->exec_ns;
	event->parent_pid = known->parent_pid;
	event->parent_exec_ns = known->parent_exec_ns;
	event->inode = known->inode;
	event->device = known->device;
	event->flags = known->flags;
	event->exit_code = BPF_CORE_READ(signal, flags) & SIGNAL_GROUP_EXIT
	                           ? BPF_CORE_READ(signal, group_exit_code)
	                           : BPF_CORE_READ(task, group_leader, exit_code);
	if (bpf_map_delete_elem(&processes, &pid))
		return 0;
	send_event(scratch, EVENT_PROCESS_EXIT, PROCESS_COUNT_EXIT);
	return 0;
}

/*
 * Run when an agent begins, after the others are attached: tells every process that runs, by the name that it has, and
 * gives those that nobody has seen begin the name of their start.
 */
SEC("iter/task")
int process_seen(struct bpf_iter__task *context)
{
	__u32 zero = 0, pid;
	struct process_scratch *scratch = bpf_map_lookup_elem(&process_seen_scratch, &zero);
	struct task_struct *task = context->task;
	struct process_event *event;
	struct process *known;

	if (!scratch || !task || BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return 0;
	if (BPF_CORE_READ(task, pid) != BPF_CORE_READ(task, tgid) || !is_ours(task))
		return 0;
	/* a zombie; one whose leader has ended and other threads go on still runs */
	if (BPF_CORE_READ(task, signal, live.counter) == 0)
		return 0;
	pid = BPF_CORE_READ(task, tgid);
	known = bpf_map_lookup_elem(&processes, &pid);
	event = &scratch->event;
	tell_task(event, task);
	event->flags = PROCESS_OLD;
	if (known && known->start_ns == event->start_ns) {
		event->parent_pid = known->parent_pid;
		event->parent_exec_ns = known->parent_exec_ns;
		event->exec_ns = known->exec_ns;
		event->flags |= known->flags;
	} else {
		tell_parent(event, task);
		event->exec_ns = event->start_ns;
	}
	/* an image that nobody saw begin: its parent is known, its time is now */
	if (known && known->start_ns == event->start_ns && !is_same(known, task))
		event->exec_ns = bpf_ktime_get_boot_ns();
	tell_binary(scratch, task, BPF_CORE_READ(task, mm, exe_file));
	tell_cwd(scratch, task);
	if (!known || !is_same(known, task))
		keep(scratch, task, known ? BPF_ANY : BPF_NOEXIST);
	if (BPF_CORE_READ(task, signal, live.counter) == 0) {
		/* it ended meanwhile, and who told so may not have found the entry */
		bpf_map_delete_elem(&processes, &pid);
		return 0;
	}
	send_event(scratch, EVENT_PROCESS_SEEN, PROCESS_COUNT_SEEN);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
