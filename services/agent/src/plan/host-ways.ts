// SPDX-License-Identifier: Apache-2.0
/** How this host reaches the hosts that backends are on; by a host's id. */
import type { Host } from '@weir/proto/weir/bus/v1/config_pb.js';
import type { OverlayPlan } from './overlay.ts';
import type { HostWay } from './service-view.ts';

export type OverlayFacts = Pick<OverlayPlan, 'numbers' | 'tunnels'>;
export type Ways = ReadonlyMap<string, HostWay>;

export const waysTo = (hosts: readonly Host[], { numbers, tunnels }: OverlayFacts): Ways =>
  new Map(
    hosts.map(({ id }) => {
      const number = numbers.get(id) ?? 0;
      const tunnel = tunnels.get(number);
      return [id, { number, isDirect: !tunnel?.send && !tunnel?.encrypted }];
    }),
  );

export const movedHosts = (before: Ways, after: Ways): ReadonlySet<string> => {
  const isSame = (id: string): boolean => {
    const [a, b] = [before.get(id), after.get(id)];
    return a?.number === b?.number && a?.isDirect === b?.isDirect;
  };
  return new Set([...before.keys(), ...after.keys()].filter((id) => !isSame(id)));
};
