// SPDX-License-Identifier: Apache-2.0
/**
 * Routes to workloads: pools of other hosts through their underlay address of the same family; what of this host's own
 * pools is nobody's address is unreachable (each workload has a longer route).
 */
import { type Cidr, cidrContainsIp, isIp, parseCidr, parseIp } from '@weir/net';
import type { Host } from '@weir/proto/weir/bus/v1/config_pb.js';
import { type Route, UNREACHABLE } from './model.ts';

/** Undefined for what was said to be wrong where the document was read. */
const cidrOf = (pool: string): Cidr | undefined => {
  try {
    return parseCidr(pool);
  } catch {
    return undefined;
  }
};

const viaOf = (host: Host, family: 4 | 6): string => (family === 4 ? host.underlayIp4 : host.underlayIp6);

/** A pool that holds the address of a host would cut that host off. */
const holdsHost = (cidr: Cidr, addresses: readonly string[]): boolean =>
  addresses.some((address) => isIp(address) && cidrContainsIp(cidr, parseIp(address)));

export interface PlannedRoutes {
  readonly routes: ReadonlyMap<string, Route>;
  readonly refused: readonly { readonly subject: string; readonly message: string }[];
}

/** `hosts` by the subjects of their documents. */
export const routesTo = (
  hosts: ReadonlyMap<string, Host>,
  ownHost: string,
  ownAddresses: readonly string[],
): PlannedRoutes => {
  const all = [...hosts.values()];
  const refused: { subject: string; message: string }[] = [];
  const underlay = [...all.flatMap(({ underlayIp4, underlayIp6 }) => [underlayIp4, underlayIp6]), ...ownAddresses];
  const routes = new Map<string, Route>();
  // This host first, the others by name: which of two with the same pool has it must not depend on who came first.
  const rank = ([subject, { id }]: [string, Host]): string => (id === ownHost ? '' : subject);
  const ordered = [...hosts].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
  for (const [subject, host] of ordered) {
    for (const pool of host.pools) {
      const cidr = cidrOf(pool);
      if (!cidr) continue;
      if (holdsHost(cidr, underlay)) {
        refused.push({
          subject,
          message: `${subject}: pool ${pool} holds an address of a host; its route would cut that host off`,
        });
        continue;
      }
      if (routes.has(cidr.text)) {
        refused.push({ subject, message: `${subject}: pool ${pool} is another host's already` });
        continue;
      }
      const via = host.id === ownHost ? UNREACHABLE : viaOf(host, cidr.family);
      if (via === UNREACHABLE || isIp(via)) routes.set(cidr.text, { dst: cidr.text, via });
    }
  }
  return { routes, refused };
};
