// SPDX-License-Identifier: Apache-2.0
/**
 * Routes to workloads: pools of other hosts through their underlay address of the same family; what of this host's own
 * pools is nobody's address is unreachable (each workload has a longer route).
 */
import { type Cidr, ipFamily, isIp, maskAddress, parseCidr, parseIp } from '@weir/net';
import type { Host } from '@weir/proto/weir/bus/v1/config_pb.js';
import { type PrefixText, prefixText } from './ipcache.ts';
import { type DocumentError, OVERLAY, type Route, UNREACHABLE } from './model.ts';

interface Parsed {
  readonly pools: readonly Cidr[];
  readonly underlay: readonly Uint8Array[];
}

const parsed = new WeakMap<Host, Parsed>();

const addressesOf = (texts: readonly string[]): Uint8Array[] => texts.filter((text) => isIp(text)).map(parseIp);

/** Once per document; without what was said to be wrong where the document was read. */
const parse = (host: Host): Parsed => {
  const known = parsed.get(host);
  if (known) return known;
  const pools = host.pools.flatMap((pool) => {
    try {
      return [parseCidr(pool)];
    } catch {
      return [];
    }
  });
  const fresh = { pools, underlay: addressesOf([host.underlayIp4, host.underlayIp6]) };
  parsed.set(host, fresh);
  return fresh;
};

const viaOf = (host: Host, family: 4 | 6): string => (family === 4 ? host.underlayIp4 : host.underlayIp6);

/**
 * Does a pool hold the address of a host? It would cut that host off. Pools have few lengths but a fleet many: one set
 * of masked addresses for each length answers for all of them.
 */
const hostFinder = (addresses: readonly Uint8Array[]): ((cidr: Cidr) => boolean) => {
  const byLength = new Map<number, Set<PrefixText>>();
  return ({ addr, bits128, family }) => {
    // IPv4 and IPv6 prefixes of the same 128-bit length are told apart by the family.
    const key = family * 256 + bits128;
    let masked = byLength.get(key);
    if (!masked) {
      const ofFamily = addresses.filter((address) => ipFamily(address) === family);
      masked = new Set(ofFamily.map((address) => prefixText(maskAddress(address, bits128), bits128)));
      byLength.set(key, masked);
    }
    return masked.has(prefixText(addr, bits128));
  };
};

export interface PlannedRoutes {
  readonly routes: ReadonlyMap<string, Route>;
  readonly refused: readonly { readonly subject: string; readonly message: string }[];
}

export const routeErrors = (
  { refused }: Pick<PlannedRoutes, 'refused'>,
  revisionOf: (subject: string) => bigint,
): DocumentError[] =>
  refused.map(({ subject, message }) => ({
    subject,
    revision: revisionOf(subject),
    code: 'INVALID_ARGUMENT',
    message,
  }));

/** `hosts` by the subjects of their documents. */
export const routesTo = (
  hosts: ReadonlyMap<string, Host>,
  ownHost: string,
  ownAddresses: readonly string[],
  /** Ids of hosts that are reached through the tunnel device. */
  tunnelled: ReadonlySet<string> = new Set(),
): PlannedRoutes => {
  const all = [...hosts.values()];
  const refused: { subject: string; message: string }[] = [];
  const holdsHost = hostFinder([...all.flatMap((host) => parse(host).underlay), ...addressesOf(ownAddresses)]);
  const routes = new Map<string, Route>();
  // This host first, the others by name: which of two with the same pool has it must not depend on who came first.
  const rank = ([subject, { id }]: [string, Host]): string => (id === ownHost ? '' : subject);
  const ordered = [...hosts].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
  for (const [subject, host] of ordered) {
    for (const cidr of parse(host).pools) {
      if (holdsHost(cidr)) {
        refused.push({
          subject,
          message: `${subject}: pool ${cidr.text} holds an address of a host; its route would cut that host off`,
        });
        continue;
      }
      if (routes.has(cidr.text)) {
        refused.push({ subject, message: `${subject}: pool ${cidr.text} is another host's already` });
        continue;
      }
      const via = host.id === ownHost ? UNREACHABLE : tunnelled.has(host.id) ? OVERLAY : viaOf(host, cidr.family);
      if (via === UNREACHABLE || via === OVERLAY || isIp(via)) routes.set(cidr.text, { dst: cidr.text, via });
    }
  }
  return { routes, refused };
};
