// SPDX-License-Identifier: Apache-2.0
/** Identities with fixed numbers, which are Cilium's. They are in every host's tables and never allocated. */
export interface ReservedIdentity {
  readonly identity: number;
  readonly labels: readonly string[];
}

const RESERVED: readonly (readonly [number, string])[] = [
  [1, 'host'],
  [2, 'world'],
  [3, 'unmanaged'],
  [4, 'health'],
  [5, 'init'],
  [6, 'remote-node'],
  [7, 'kube-apiserver'],
  [8, 'ingress'],
  [9, 'world-ipv4'],
  [10, 'world-ipv6'],
];

export const RESERVED_IDENTITIES: readonly ReservedIdentity[] = RESERVED.map(([identity, name]) => ({
  identity,
  labels: [`reserved:${name}`],
}));

export const FIRST_IDENTITY = 256;
export const LAST_IDENTITY = 65_535;
