// SPDX-License-Identifier: Apache-2.0
/** Identities that nobody allocates: reserved ones keep Cilium's numbers and names, those of CIDRs are one host's own. */

/** Numbers of weir_identity in bpf/include/abi.h below IDENTITY_FIRST_ALLOCATED. */
export const RESERVED: Readonly<Record<number, string>> = {
  0: 'unknown',
  1: 'host',
  2: 'world',
  3: 'unmanaged',
  4: 'health',
  5: 'init',
  6: 'remote-node',
  7: 'kube-apiserver',
  8: 'ingress',
  9: 'world-ipv4',
  10: 'world-ipv6',
};
export const WORLD = 2;
export const FIRST_ALLOCATED = 256;
/** From here on numbers mean something on one host only: a prefix that a policy there names. */
export const FIRST_LOCAL = 1 << 24;
const REMOTE_NODE_SCOPE = 0x02;

export const isLocal = (identity: number): boolean => identity >= FIRST_LOCAL;
export const isWorkload = (identity: number): boolean => identity >= FIRST_ALLOCATED && identity < FIRST_LOCAL;

/** Labels that follow from the number alone; undefined for an allocated one. */
export const fixedLabels = (identity: number): readonly string[] | undefined => {
  if (isLocal(identity)) return identity >>> 24 === REMOTE_NODE_SCOPE ? ['reserved:remote-node'] : ['reserved:world'];
  if (identity >= FIRST_ALLOCATED) return undefined;
  const name = RESERVED[identity];
  return name === undefined ? [] : [`reserved:${name}`];
};

const byName = new Map(Object.entries(RESERVED).map(([number, name]) => [name, Number(number)]));

/** `world` or `reserved:world` -> 2. */
export const reservedIdentity = (name: string): number | undefined => byName.get(name.replace(/^reserved:/, ''));
