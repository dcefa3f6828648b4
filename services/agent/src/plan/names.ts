// SPDX-License-Identifier: Apache-2.0
/**
 * Names and MACs of a workload's interfaces: derived from its id, so that an agent that lost all memory finds its own
 * interfaces again, and a workload that is wired anew keeps its neighbours' caches right.
 */
import { createHash } from 'node:crypto';

export const LINK_PREFIX = 'wr';
export const LINK_NAME = /^wr[0-9a-f]{8}$/;
export const PEER_NAME = 'eth0';
/** The one tunnel device of a host. */
export const OVERLAY_NAME = 'weir_vxlan';
/** The device that translates for NAT64, and its other end, where nothing arrives. */
export const NAT64_NAME = 'weir_nat64';
export const NAT64_PEER = 'weir_nat64p';
/** The one device that encrypts. */
export const WIREGUARD_NAME = 'weir_wg0';

/** Every workload's gateway: an address of the host side, the same on all of them. */
export const GATEWAY4 = '169.254.1.1';
export const GATEWAY6 = 'fe80::1';

const digest = (workloadId: string): Buffer => createHash('sha256').update(workloadId).digest();

export const linkName = (workloadId: string): string => `${LINK_PREFIX}${digest(workloadId).toString('hex', 0, 4)}`;

/** Locally administered unicast. */
const mac = (kind: number, bytes: Buffer): string =>
  [kind, ...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');

export const workloadMac = (workloadId: string): string => mac(0x02, digest(workloadId).subarray(4, 9));
export const hostMac = (workloadId: string): string => mac(0x06, digest(workloadId).subarray(4, 9));
