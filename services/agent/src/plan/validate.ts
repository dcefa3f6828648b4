// SPDX-License-Identifier: Apache-2.0
/** What must hold of a document before anything is planned from it. Signed does not mean sensible. */
import { weir_identity } from '@weir/bpf';
import { ipFamily, isIp, parseCidr, parseIp } from '@weir/net';
import type { Host, Workload } from '@weir/proto/weir/bus/v1/config_pb.js';
import type { DesiredWorkload } from './model.ts';

const { IDENTITY_SCOPE_MASK } = weir_identity;

const address = (field: string, text: string, family: 4 | 6): string[] => {
  if (text === '') return [];
  if (!isIp(text)) return [`${field} "${text}" is not an IP address`];
  return ipFamily(parseIp(text)) === family ? [] : [`${field} "${text}" is not IPv${family}`];
};

/** Empty when all is well. */
export const workloadIssues = (workload: Workload): string[] => [
  ...(workload.id === '' ? ['it has no id'] : []),
  ...address('ip4', workload.ip4, 4),
  ...address('ip6', workload.ip6, 6),
  ...(workload.ip4 === '' && workload.ip6 === '' && !workload.hostNetwork ? ['it has no address'] : []),
  ...((workload.ip4 !== '' || workload.ip6 !== '') && workload.hostNetwork
    ? ["it has addresses, and the host's own network"]
    : []),
  ...((workload.identity & IDENTITY_SCOPE_MASK) >>> 0 !== 0
    ? [`identity ${workload.identity} is one that only a host gives`]
    : []),
];

/** Of a workload that this host is to connect. */
export const wiringIssues = (workload: Workload): string[] =>
  workload.hostNetwork ? cgroupIssues(workload) : netnsIssues(workload);

const cgroupIssues = ({ cgroup }: Workload): string[] => {
  if (cgroup === '') return ["it has the host's own network, but names no cgroup"];
  const fine = cgroup.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
  return fine
    ? []
    : [`cgroup "${cgroup}" is not a path below the host's cgroup; give one such as system.slice/x.service`];
};

const netnsIssues = (workload: Workload): string[] =>
  workload.netns === '' || workload.netns.startsWith('/')
    ? []
    : [`netns "${workload.netns}" is not an absolute path; give one such as /run/netns/${workload.id}`];

export const hostIssues = (host: Host): string[] => [
  ...address('underlay_ip4', host.underlayIp4, 4),
  ...address('underlay_ip6', host.underlayIp6, 6),
  ...address('health_ip4', host.healthIp4, 4),
  ...address('health_ip6', host.healthIp6, 6),
  ...host.pools.flatMap((pool) => {
    try {
      parseCidr(pool);
      return [];
    } catch (error) {
      return [`pool: ${(error as Error).message}`];
    }
  }),
];

/** Why a workload that is as it should be is closed all the same; undefined: it is not. */
export const closedFor = (
  { identity, netns, hostNetwork }: Workload,
  configurationComplete: boolean,
  knowsLabels: boolean,
): Pick<DesiredWorkload, 'waiting' | 'message'> | undefined => {
  if (!configurationComplete)
    return { waiting: 'not-ready', message: 'closed until the first whole configuration is there' };
  if (!knowsLabels) {
    return {
      waiting: 'waiting-for-identity',
      message: `closed: the labels of identity ${identity} are not known here`,
    };
  }
  return netns === '' && !hostNetwork ? { waiting: 'not-ready', message: 'it names no network namespace' } : undefined;
};
