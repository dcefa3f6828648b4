// SPDX-License-Identifier: Apache-2.0
/** Where programs are attached, other than tc: XDP, cgroups, tracing. Asynchronous: some of it waits for RCU. */
import { stat } from 'node:fs/promises';
import { weirError } from '@weir/errors';
import { attemptAsync } from './errors.ts';
import { CGROUP_HOOK, type CgroupHook } from './kinds.ts';
import { attachOrTakeOver, Link } from './link.ts';
import { ensureTracefs } from './mounts.ts';
import { native } from './native.ts';
import type { BpfProgram } from './program.ts';

const BPF_XDP = 37;
const XDP_FLAGS = { generic: 1 << 1, native: 1 << 2 } as const;

export interface DeviceOptions {
  /** bpffs path; a link that is pinned there already is taken over. */
  readonly pinPath?: string;
  /** Path of the network namespace in which ifindex is meant; this process's own unless told. */
  readonly netns?: string;
  /** tcx: before the programs that are there; behind them unless told. */
  readonly first?: boolean;
}

const deviceOptions = (options: string | DeviceOptions | undefined): DeviceOptions =>
  typeof options === 'string' ? { pinPath: options } : (options ?? {});

export const attachXdp = (
  program: BpfProgram,
  ifindex: number,
  mode: keyof typeof XDP_FLAGS,
  options?: string | DeviceOptions,
): Promise<Link> => {
  const { pinPath, netns } = deviceOptions(options);
  return attachOrTakeOver(
    `XDP program '${program.name}' on interface ${ifindex} (${mode})`,
    program,
    pinPath,
    { type: 'xdp', ifindex },
    () => native().linkAttachDevice(program.handle, ifindex, BPF_XDP, XDP_FLAGS[mode], pinPath, netns),
  );
};

const TCX = { ingress: 46, egress: 47 } as const;
const BPF_F_BEFORE = 1 << 3;

/** Runs before clsact filters; needs Linux 6.6. */
export const attachTcx = (
  program: BpfProgram,
  ifindex: number,
  direction: keyof typeof TCX,
  options?: string | DeviceOptions,
): Promise<Link> => {
  const { pinPath, netns, first } = deviceOptions(options);
  const attachType = TCX[direction];
  return attachOrTakeOver(
    `tc program '${program.name}' on interface ${ifindex} ${direction}`,
    program,
    pinPath,
    { type: 'tcx', ifindex, attachType },
    () => native().linkAttachDevice(program.handle, ifindex, attachType, first ? BPF_F_BEFORE : 0, pinPath, netns),
  );
};

export const attachCgroup = async (
  program: BpfProgram,
  cgroupPath: string,
  hook: CgroupHook,
  pinPath?: string,
): Promise<Link> => {
  const attachType = CGROUP_HOOK[hook];
  if (attachType === undefined) {
    throw weirError('INVALID_ARGUMENT', `no cgroup hook is called '${String(hook)}'`, {
      field: 'hook',
      value: hook,
      fix: `use one of: ${Object.keys(CGROUP_HOOK).join(', ')}`,
    });
  }
  const name = `program '${program.name}' on ${cgroupPath} (${hook})`;
  // a cgroup's id is its folder's inode
  const cgroupId = await stat(cgroupPath, { bigint: true }).then(
    ({ ino }) => ino,
    () => undefined,
  );
  return attachOrTakeOver(name, program, pinPath, { type: 'cgroup', attachType, cgroupId }, () =>
    native().linkAttachCgroup(program.handle, cgroupPath, attachType, pinPath),
  );
};

const attachTracing = async (program: BpfProgram, tracepoint: string | undefined, pinPath?: string): Promise<Link> => {
  const name = `program '${program.name}' on ${tracepoint ?? program.section}`;
  return new Link(
    name,
    await attemptAsync(name, () => native().linkAttachTracing(program.handle, tracepoint, pinPath)),
    pinPath,
  );
};

/** The target is in the program's section name (`tp_btf/...`, also `fentry/...` and `lsm/...`). */
export const attachTpBtf = (program: BpfProgram, pinPath?: string): Promise<Link> =>
  attachTracing(program, undefined, pinPath);

/** Runs a program of section `iter/...` once over all there is; resolves to what it wrote (bpf_seq_write). */
export const runIterator = (program: BpfProgram): Promise<Buffer> =>
  attemptAsync(`iterator '${program.name}'`, () => native().linkIterate(program.handle));

export const attachRawTracepoint = (program: BpfProgram, tracepoint: string, pinPath?: string): Promise<Link> =>
  attachTracing(program, tracepoint, pinPath);

export const attachTracepoint = async (
  program: BpfProgram,
  category: string,
  event: string,
  pinPath?: string,
): Promise<Link> => {
  const tracefs = await ensureTracefs();
  const name = `program '${program.name}' on tracepoint ${category}/${event}`;
  return new Link(
    name,
    await attemptAsync(name, () => native().linkAttachTracepoint(program.handle, tracefs, category, event, pinPath)),
    pinPath,
  );
};

export interface UprobeOptions {
  /** At the function's return. */
  readonly ret?: boolean;
  /** Only in this process; in all unless told. */
  readonly pid?: number;
  readonly pinPath?: string;
}

/** `at` is a function's name or an offset in the file. */
export const attachUprobe = async (
  program: BpfProgram,
  binary: string,
  at: string | bigint,
  { ret, pid, pinPath }: UprobeOptions = {},
): Promise<Link> => {
  const name = `program '${program.name}' on ${binary}:${at}`;
  return new Link(
    name,
    await attemptAsync(name, () => native().linkAttachUprobe(program.handle, binary, at, { ret, pid }, pinPath)),
    pinPath,
  );
};
