// SPDX-License-Identifier: Apache-2.0
/** Network namespaces with a name, as `ip netns` makes them: a file that the namespace is mounted on. */
import { stat } from 'node:fs/promises';
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

/** Inode of a namespace: the same for two paths exactly when the namespace is. */
export const netnsId = async (path = '/proc/self/ns/net'): Promise<bigint> => (await stat(path, { bigint: true })).ino;

export const setSysctl = async (netnsPath: string | undefined, key: string, value: string): Promise<void> => {
  checkKey(key);
  await attemptAsync(`sysctl ${key}`, () => native().sysctl(netnsPath, key, value));
};

export const getSysctl = async (netnsPath: string | undefined, key: string): Promise<string> => {
  checkKey(key);
  return attemptAsync(`sysctl ${key}`, () => native().sysctl(netnsPath, key, undefined));
};
