// SPDX-License-Identifier: Apache-2.0
/** What this kernel can do, found by doing it once. Never by its version: distributions backport, lockdowns forbid. */
import { readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { attemptAsync } from './errors.ts';
import { bpffsMount, cgroup2Mount } from './mounts.ts';
import { native } from './native.ts';

export interface Features {
  /** uname -r. */
  readonly kernel: string;
  readonly btf: boolean;
  /** tc links (6.6). */
  readonly tcx: boolean;
  readonly clsact: boolean;
  readonly redirectPeer: boolean;
  readonly redirectNeigh: boolean;
  readonly bpfLoop: boolean;
  readonly ringbuf: boolean;
  readonly batchHash: boolean;
  readonly batchLpm: boolean;
  readonly tpBtf: boolean;
  readonly fentry: boolean;
  /** Programs load and `bpf` is among the kernel's active security modules. */
  readonly lsm: boolean;
  readonly kprobe: boolean;
  readonly uprobe: boolean;
  readonly cgroupV2Path: string | undefined;
  /** Where bpffs is mounted, if it is at the usual place. */
  readonly bpffs: string | undefined;
}

/** undefined: not known, because securityfs is not mounted. */
const activeSecurityModules = async (): Promise<string[] | undefined> => {
  try {
    return (await readFile('/sys/kernel/security/lsm', 'utf8')).trim().split(',');
  } catch {
    return undefined;
  }
};

export const featureProbe = async (): Promise<Features> => {
  const { lsmLoads, ...found } = await attemptAsync('kernel features', () => native().probe());
  const modules = await activeSecurityModules();
  return {
    kernel: release(),
    ...found,
    lsm: lsmLoads && (modules?.includes('bpf') ?? true),
    cgroupV2Path: await cgroup2Mount(),
    bpffs: await bpffsMount(),
  };
};
