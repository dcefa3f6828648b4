// SPDX-License-Identifier: Apache-2.0
/** Names that people give: DNS labels (RFC 1123), because they become parts of ids, subjects and selectors. */
import { weirError } from '@weir/errors';

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Throws INVALID_ARGUMENT naming the field, the value and the fix. */
export const checkName = (field: string, name: string): void => {
  if (DNS_LABEL.test(name)) return;
  throw weirError('INVALID_ARGUMENT', `${field} ${JSON.stringify(name)} is not a DNS label`, {
    field,
    value: name,
    fix: 'use 1 to 63 lower-case letters, digits and -, beginning and ending with a letter or digit',
  });
};

export const workloadId = (namespace: string, name: string): string => `${namespace}.${name}`;

/** Paths handed to a host's agent, which opens them as root. */
export const checkNetns = (netns: string): void => {
  if (netns === '') return;
  const fine =
    netns.startsWith('/') && !netns.split('/').includes('..') && netns.length <= 4_096 && !netns.includes('\0');
  if (fine) return;
  throw weirError('INVALID_ARGUMENT', `netns ${JSON.stringify(netns)} is not an absolute path`, {
    field: 'netns',
    value: netns,
    fix: 'give the path of the network namespace on its host, such as /run/netns/web',
  });
};

/** Below the cgroup2 mount of the host, which its agent adds in front. */
export const checkCgroup = (cgroup: string): void => {
  if (cgroup === '') return;
  const parts = cgroup.split('/');
  const fine = !parts.some((part) => part === '' || part === '.' || part === '..') && !cgroup.includes('\0');
  if (fine) return;
  throw weirError('INVALID_ARGUMENT', `cgroup ${JSON.stringify(cgroup)} is not a path below the cgroup2 mount`, {
    field: 'cgroup',
    value: cgroup,
    fix: 'give it without the mount in front, such as system.slice/web.service',
  });
};
