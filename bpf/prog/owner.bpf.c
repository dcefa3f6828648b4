/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Whose each socket is, for flows. These programs run in the process that makes, binds, connects or uses a socket, so the
 * process is known for certain; a packet's program runs anywhere, and finds the owner with the packet's socket.
 *
 * A socket may be inherited by fork, kept over exec, or handed over (SCM_RIGHTS, pidfd_getfd): none of these is a hook of its
 * own. Where the kernel tells of what is sent and received (6.3 and later) the new owner is known with the first of either.
 */
#include "base.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "kernel_types.h"
#include "owner_maps.h"
#include "process_maps.h"

#define AF_INET 2
#define AF_INET6 10
#define GO_ON 1

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WEIR_MAX_SOCKET_PROCESSES);
	__type(key, struct process_name);
	__type(value, struct process);
} socket_processes SEC(".maps")
	DOC("process that had a socket -> what it is, also when it has ended; written by programs");

INLINE void remember_process(const struct process *process, __u32 pid)
{
	struct process_name name = {.exec_ns = process->exec_ns, .pid = pid};

	if (!bpf_map_lookup_elem(&socket_processes, &name))
		bpf_map_update_elem(&socket_processes, &name, process, BPF_NOEXIST);
}

INLINE __u32 user_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, cred, euid.val);
}

INLINE bool is_owned_by(const struct owner *owner, const struct process *process, __u32 pid, __u32 uid)
{
	return owner->pid == pid && owner->uid == uid && process && owner->exec_ns == process->exec_ns;
}

/* Nobody is known in the place of somebody who is not known. */
INLINE void give_to(struct owner *owner, const struct process *process, __u32 pid, __u32 uid)
{
	owner->exec_ns = process ? process->exec_ns : 0;
	owner->pid = process ? pid : 0;
	owner->uid = uid;
	if (process)
		remember_process(process, pid);
}

/* The current process has this socket. */
INLINE int own(struct bpf_sock *sk)
{
	struct owner *owner = bpf_sk_storage_get(&socket_owners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	__u32 uid = user_of((struct task_struct *)bpf_get_current_task());
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	const struct process *process = bpf_map_lookup_elem(&processes, &pid);

	if (!owner)
		count_process(PROCESS_COUNT_NO_OWNER);
	else if (!is_owned_by(owner, process, pid, uid))
		give_to(owner, process, pid, uid);
	return GO_ON;
}

SEC("cgroup/sock_create")
int owner_sock_create(struct bpf_sock *ctx)
{
	return own(ctx);
}

SEC("cgroup/post_bind4")
int owner_post_bind4(struct bpf_sock *ctx)
{
	return own(ctx);
}

SEC("cgroup/post_bind6")
int owner_post_bind6(struct bpf_sock *ctx)
{
	return own(ctx);
}

SEC("cgroup/connect4")
int owner_connect4(struct bpf_sock_addr *ctx)
{
	return own(ctx->sk);
}

SEC("cgroup/connect6")
int owner_connect6(struct bpf_sock_addr *ctx)
{
	return own(ctx->sk);
}

SEC("cgroup/sendmsg4")
int owner_sendmsg4(struct bpf_sock_addr *ctx)
{
	return own(ctx->sk);
}

SEC("cgroup/sendmsg6")
int owner_sendmsg6(struct bpf_sock_addr *ctx)
{
	return own(ctx->sk);
}

/* The current process has sent or received by it. Sockets of other hosts of this machine have no owner here. */
INLINE int uses(struct sock *sk)
{
	const struct process *process;
	struct owner *owner;
	__u32 pid, uid;

	if (!sk || (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6))
		return 0;
	owner = bpf_sk_storage_get(&socket_owners, sk, NULL, 0);
	if (!owner)
		return 0;
	pid = bpf_get_current_pid_tgid() >> 32;
	uid = user_of((struct task_struct *)bpf_get_current_task());
	process = bpf_map_lookup_elem(&processes, &pid);
	if (!is_owned_by(owner, process, pid, uid))
		give_to(owner, process, pid, uid);
	return 0;
}

/* `?`: loaded where somebody asks for it, because kernels before 6.3 do not have it. */
SEC("?tp_btf/sock_send_length")
int BPF_PROG(owner_sent, struct sock *sk, int result, int flags)
{
	return uses(sk);
}

SEC("?tp_btf/sock_recv_length")
int BPF_PROG(owner_received, struct sock *sk, int result, int flags)
{
	return uses(sk);
}

/* Run when an agent begins: sockets that were there before. Of several processes that have one the first is taken. */
SEC("iter/task_file")
int owner_seen(struct bpf_iter__task_file *context)
{
	struct task_struct *task = context->task;
	struct file *file = context->file;
	const struct process *process;
	struct socket *socket;
	struct owner *owner;
	__u32 pid;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket || !socket->sk)
		return 0;
	if (socket->sk->__sk_common.skc_family != AF_INET && socket->sk->__sk_common.skc_family != AF_INET6)
		return 0;
	pid = task->tgid;
	process = bpf_map_lookup_elem(&processes, &pid);
	if (!process || bpf_sk_storage_get(&socket_owners, socket->sk, NULL, 0))
		return 0;
	owner = bpf_sk_storage_get(&socket_owners, socket->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (owner)
		give_to(owner, process, pid, user_of(task));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
