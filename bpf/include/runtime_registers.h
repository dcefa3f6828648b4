/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A system call's number and arguments, by the registers of whichever architecture the running kernel is of: what the
 * other has is not in its BTF. A call of a 32 bit program has numbers of its own, and on x86 other registers.
 */
#ifndef WEIR_RUNTIME_REGISTERS_H
#define WEIR_RUNTIME_REGISTERS_H

#include "runtime.h"

#define X32_BIT 0x40000000
#define TS_COMPAT 2
#define TIF_32BIT (1 << 22)
#define NO_SITE 0xffffffff

struct thread_info___x86 {
	__u32 status;
} KERNEL;

struct thread_info___arm64 {
	unsigned long flags;
} KERNEL;

struct task_struct___x86 {
	struct thread_info___x86 thread_info;
} KERNEL;

struct task_struct___arm64 {
	struct thread_info___arm64 thread_info;
} KERNEL;

struct pt_regs {
	unsigned long bx;
	unsigned long cx;
	unsigned long dx;
	unsigned long si;
	unsigned long di;
	unsigned long bp;
	unsigned long r8;
	unsigned long r9;
	unsigned long r10;
	unsigned long orig_ax;
} KERNEL;

struct pt_regs___arm64 {
	__u64 regs[31];
	__s32 syscallno;
} KERNEL;

INLINE bool is_compat(struct task_struct *task)
{
	struct task_struct___x86 *x86 = (void *)task;
	struct task_struct___arm64 *arm64 = (void *)task;

	if (bpf_core_field_exists(x86->thread_info.status))
		return x86->thread_info.status & TS_COMPAT;
	return arm64->thread_info.flags & TIF_32BIT;
}

INLINE __u32 site_of(__s64 number, struct task_struct *task)
{
	__u32 site = number & ~X32_BIT;

	if (site >= RUNTIME_COMPAT)
		return NO_SITE;
	return is_compat(task) ? site + RUNTIME_COMPAT : site;
}

INLINE __s64 number_of_call(struct pt_regs *regs)
{
	struct pt_regs___arm64 *arm64 = (void *)regs;

	return bpf_core_field_exists(regs->orig_ax) ? (__s64)BPF_CORE_READ(regs, orig_ax)
	                                            : BPF_CORE_READ(arm64, syscallno);
}

INLINE void read_registers(struct runtime_scratch *scratch, struct pt_regs *regs, __u32 site)
{
	struct pt_regs___arm64 *arm64 = (void *)regs;
	__u64 *to = scratch->registers;

	if (!bpf_core_field_exists(regs->orig_ax)) {
		bpf_core_read(to, RUNTIME_PLACES * sizeof(*to), &arm64->regs);
		return;
	}
	if (site < RUNTIME_COMPAT) {
		to[0] = BPF_CORE_READ(regs, di);
		to[1] = BPF_CORE_READ(regs, si);
		to[2] = BPF_CORE_READ(regs, dx);
		to[3] = BPF_CORE_READ(regs, r10);
		to[4] = BPF_CORE_READ(regs, r8);
		to[5] = BPF_CORE_READ(regs, r9);
		return;
	}
	to[0] = (__u32)BPF_CORE_READ(regs, bx);
	to[1] = (__u32)BPF_CORE_READ(regs, cx);
	to[2] = (__u32)BPF_CORE_READ(regs, dx);
	to[3] = (__u32)BPF_CORE_READ(regs, si);
	to[4] = (__u32)BPF_CORE_READ(regs, di);
	to[5] = (__u32)BPF_CORE_READ(regs, bp);
}

#endif
