// SPDX-License-Identifier: Apache-2.0
/** Routes to the workloads of other hosts: each of their pools through their underlay address of the same family. */
import { cidrContainsIp, isIp, parseCidr, parseIp } from '@weir/net';
import type { Host } from '@weir/proto/weir/bus/v1/config_pb.js';
import type { Route } from './model.ts';

const viaOf = (host: Host, family: 4 | 6): string => (family === 4 ? host.underlayIp4 : host.underlayIp6);

export const routesTo = (hosts: Iterable<Host>, ownHost: string): ReadonlyMap<string, Route> => {
  const routes = new Map<string, Route>();
  for (const host of hosts) {
    if (host.id === ownHost) continue;
    for (const pool of host.pools) {
      let cidr: ReturnType<typeof parseCidr>;
      try {
        cidr = parseCidr(pool);
      } catch {
        continue; // said where the document was read
      }
      const via = viaOf(host, cidr.family);
      // A gateway inside its own pool would be a route to itself.
      if (!isIp(via) || cidrContainsIp(cidr, parseIp(via))) continue;
      routes.set(cidr.text, { dst: cidr.text, via });
    }
  }
  return routes;
};
