// SPDX-License-Identifier: Apache-2.0
/** A workload of this host, and how it is connected, from its document. */
import type { Workload } from '@weir/proto/weir/bus/v1/config_pb.js';
import type { Wiring } from './model.ts';
import { hostMac, linkName, workloadMac } from './names.ts';

export interface Local {
  readonly subject: string;
  readonly revision: bigint;
  readonly doc: Workload;
  /** Made once: its names are hashes, and every document of the fleet is a pass over all workloads. */
  readonly wiring: Wiring;
}

const wiringOf = ({ id, netns, cgroup, hostNetwork, ip4, ip6 }: Workload): Wiring => ({
  workloadId: id,
  ifname: linkName(id),
  netns: hostNetwork ? '' : netns,
  cgroup: hostNetwork ? cgroup : '',
  ip4,
  ip6,
  mac: workloadMac(id),
  hostMac: hostMac(id),
});

export const localOf = (subject: string, revision: bigint, doc: Workload): Local => ({
  ...{ subject, revision, doc },
  wiring: wiringOf(doc),
});
