// SPDX-License-Identifier: Apache-2.0
/** Routes that the network between the hosts would have to addresses outside the cluster's pools, on one host. */
import { openNetlink, type RouteOptions } from '@weir/loader';
import { netnsPath } from './netns.ts';

interface Addresses {
  readonly ip4?: string;
  readonly ip6?: string;
}

const destinations = ({ ip4, ip6 }: Addresses): { readonly dst: string; readonly isV6: boolean }[] => [
  ...(ip4 ? [{ dst: `${ip4}/32`, isV6: false }] : []),
  ...(ip6 ? [{ dst: `${ip6}/128`, isV6: true }] : []),
];

const change = async (netns: string, routes: readonly RouteOptions[], how: 'replaceRoute' | 'delRoute') => {
  const netlink = openNetlink(netnsPath(netns));
  try {
    for (const route of routes) await netlink[how](route);
  } finally {
    netlink.close();
  }
};

export const routeTo = (netns: string, workload: Addresses, host: Addresses): Promise<void> =>
  change(
    netns,
    destinations(workload).map(({ dst, isV6 }) => ({ dst, via: (isV6 ? host.ip6 : host.ip4) as string })),
    'replaceRoute',
  );

export const forgetRoute = (netns: string, workload: Addresses): Promise<void> =>
  change(
    netns,
    destinations(workload).map(({ dst }) => ({ dst })),
    'delRoute',
  );
