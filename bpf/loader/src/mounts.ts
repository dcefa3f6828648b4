// SPDX-License-Identifier: Apache-2.0
/** The kernel's file systems that we need: found where they are, mounted where they are missing. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { attemptAsync } from './errors.ts';
import { native } from './native.ts';

const BPFFS = { directory: '/sys/fs/bpf', magic: 0xcafe4a11 } as const;
const TRACEFS = { directories: ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'], magic: 0x74726163 } as const;

/** The usual bpffs when it is mounted. */
export const bpffsMount = async (): Promise<string | undefined> =>
  (await isOn(BPFFS.directory, BPFFS.magic)) ? BPFFS.directory : undefined;

const isOn = async (directory: string, magic: number): Promise<boolean> => {
  if (!existsSync(directory)) return false;
  // some types are negative where the kernel's word is signed
  return BigInt.asUintN(32, BigInt((await statfs(directory)).type)) === BigInt(magic);
};

/**
 * Makes sure that `directory` is in a bpffs and exists; returns it. Below /sys/fs/bpf the usual mount is used,
 * elsewhere one is made at `directory` itself.
 */
export const ensureBpffs = async (directory: string = BPFFS.directory): Promise<string> => {
  const wanted = resolve(directory);
  let existing = wanted;
  while (!existsSync(existing)) existing = dirname(existing);
  if (!(await isOn(existing, BPFFS.magic))) {
    const usual = wanted === BPFFS.directory || wanted.startsWith(`${BPFFS.directory}/`);
    const target = usual ? BPFFS.directory : wanted;
    await mkdir(target, { recursive: true });
    await attemptAsync(target, () => native().mountIfMissing('bpf', target, BPFFS.magic));
  }
  await mkdir(wanted, { recursive: true, mode: 0o700 });
  return wanted;
};

/** Where tracefs is; mounts it when it is nowhere. */
export const ensureTracefs = async (): Promise<string> => {
  for (const directory of TRACEFS.directories) if (await isOn(directory, TRACEFS.magic)) return directory;
  const [directory] = TRACEFS.directories;
  await attemptAsync(directory, () => native().mountIfMissing('tracefs', directory, TRACEFS.magic));
  return directory;
};

/** In /proc/self/mountinfo a space is \040. */
const unescapePath = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** Where cgroup v2 is: /sys/fs/cgroup, or a folder in it on machines that still have v1 too. */
export const cgroup2Mount = async (mountinfo?: string): Promise<string | undefined> => {
  for (const line of (mountinfo ?? (await readFile('/proc/self/mountinfo', 'utf8'))).split('\n')) {
    const [mount = '', source = ''] = line.split(' - ');
    if (source.split(' ')[0] !== 'cgroup2') continue;
    const path = mount.split(' ')[4];
    if (path) return unescapePath(path);
  }
  return undefined;
};
