// SPDX-License-Identifier: Apache-2.0
/** How a workload is connected, from its document. */
import type { Workload } from '@weir/proto/weir/bus/v1/config_pb.js';
import type { Wiring } from './model.ts';
import { hostMac, linkName, workloadMac } from './names.ts';

export const wiringOf = ({ id, netns, ip4, ip6 }: Workload): Wiring => ({
  workloadId: id,
  ifname: linkName(id),
  netns,
  ip4,
  ip6,
  mac: workloadMac(id),
  hostMac: hostMac(id),
});
