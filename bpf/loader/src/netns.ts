// SPDX-License-Identifier: Apache-2.0
/** Network namespaces with a name, as `ip netns` makes them: a file that the namespace is mounted on. */
import { stat, statfs } from 'node:fs/promises';
import { weirError } from '@weir/errors';
import { attemptAsync } from './errors.ts';
import { native } from './native.ts';

/** Only net/... belongs to a namespace, and a key is no way out of /proc/sys. */
const SYSCTL = /^net(\/[\w.:@-]*\w[\w.:@-]*)+$/;

const checkKey = (key: string): string => {
  if (SYSCTL.test(key) && !key.split('/').includes('..')) return key;
  throw weirError('INVALID_ARGUMENT', `'${key}' is no network setting`, {
    field: 'key',
    value: key,
    fix: 'use a path below /proc/sys that begins with net/, e.g. net/ipv4/ip_forward',
  });
};

/** The folder must exist, except /run/netns. */
export const createNetns = (path: string): Promise<void> => attemptAsync(path, () => native().createNetns(path));

/** The namespace itself ends with its last process. */
export const deleteNetns = (path: string): Promise<void> => attemptAsync(path, () => native().deleteNetns(path));

/** NSFS_MAGIC of linux/magic.h. */
const NSFS = 0x6e736673;

/** False: there is nothing, or a file that a namespace was mounted on once. */
export const isNetns = async (path: string): Promise<boolean> => {
  try {
    return (await statfs(path)).type === NSFS;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
};

/**
 * A TCP socket that listens at every address of the namespace, also at those that it gets later, for a process that stays
 * outside; its descriptor, for `server.listen({ fd })`. The namespace lives on while it is open.
 */
export const listenInNetns = (path: string, port: number): Promise<number> =>
  attemptAsync(`port ${port} in ${path}`, () => native().listenTcp(path, port));

/** Inode of a namespace: the same for two paths exactly when the namespace is. */
export const netnsId = async (path = '/proc/self/ns/net'): Promise<bigint> => (await stat(path, { bigint: true })).ino;

/** What programs know a namespace by (`bpf_get_netns_cookie`): never the same for two, as long as the machine runs. */
export const netnsCookie = (path?: string): Promise<bigint> =>
  attemptAsync(`cookie of ${path ?? 'the own network namespace'}`, () => native().netnsCookie(path));

export const setSysctl = async (netnsPath: string | undefined, key: string, value: string): Promise<void> => {
  checkKey(key);
  await attemptAsync(`sysctl ${key}`, () => native().sysctl(netnsPath, key, value));
};

export const getSysctl = async (netnsPath: string | undefined, key: string): Promise<string> => {
  checkKey(key);
  return attemptAsync(`sysctl ${key}`, () => native().sysctl(netnsPath, key, undefined));
};
