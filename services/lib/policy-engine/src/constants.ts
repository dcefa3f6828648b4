// SPDX-License-Identifier: Apache-2.0
/**
 * The numbers that policy and datapath share. They are declared in bpf/include/abi.h; this package may not import the
 * datapath, so they stand here again, and a test reads abi.h and compares each one.
 */

export const IDENTITY = {
  UNKNOWN: 0,
  HOST: 1,
  WORLD: 2,
  UNMANAGED: 3,
  HEALTH: 4,
  INIT: 5,
  REMOTE_NODE: 6,
  KUBE_APISERVER: 7,
  INGRESS: 8,
  WORLD_IPV4: 9,
  WORLD_IPV6: 10,
  FIRST_ALLOCATED: 256,
  SCOPE_CIDR: 0x01000000,
  SCOPE_REMOTE_NODE: 0x02000000,
  SCOPE_IPBLOCK: 0x04000000,
  SCOPE_MASK: 0xff000000,
} as const;

/** In a policy entry: whoever the peer is. */
export const ANY_IDENTITY = IDENTITY.UNKNOWN;

/** Entries that the datapath holds for one workload; what needs more puts the workload into lockdown. */
export const MAX_POLICY_ENTRIES = 16384;

/** Of a policy key: protocol (8) and port (16) may be matched by prefix. */
export const PROTOCOL_BITS = 8;
export const PORT_BITS = 16;

/** Security labels of the fixed identities: always these, whatever a fleet says. Allocated ones come from inventory. */
export const RESERVED_LABELS: ReadonlyMap<number, readonly string[]> = new Map([
  [IDENTITY.HOST, ['reserved:host']],
  [IDENTITY.WORLD, ['reserved:world']],
  [IDENTITY.UNMANAGED, ['reserved:unmanaged']],
  [IDENTITY.HEALTH, ['reserved:health']],
  [IDENTITY.INIT, ['reserved:init']],
  [IDENTITY.REMOTE_NODE, ['reserved:remote-node']],
  [IDENTITY.KUBE_APISERVER, ['reserved:kube-apiserver', 'reserved:remote-node']],
  [IDENTITY.INGRESS, ['reserved:ingress']],
  [IDENTITY.WORLD_IPV4, ['reserved:world', 'reserved:world-ipv4']],
  [IDENTITY.WORLD_IPV6, ['reserved:world', 'reserved:world-ipv6']],
]);

/** What a label selector sees of a peer that is only a CIDR identity. */
export const CIDR_LABELS = {
  4: ['reserved:world', 'reserved:world-ipv4'],
  6: ['reserved:world', 'reserved:world-ipv6'],
} as const;

export const NAMESPACE_LABEL = 'io.kubernetes.pod.namespace';
export const NAMESPACE_LABELS_PREFIX = 'io.cilium.k8s.namespace.labels.';

export const scopeOf = (identity: number): number => (identity & IDENTITY.SCOPE_MASK) >>> 0;

/** The twin of a CIDR identity under which ipBlock rules reach managed peers too. */
export const ipBlockTwin = (cidrIdentity: number): number =>
  (IDENTITY.SCOPE_IPBLOCK | (cidrIdentity & ~IDENTITY.SCOPE_MASK)) >>> 0;
