// SPDX-License-Identifier: Apache-2.0
/** What changes in a namespace's interfaces, addresses and routes, as the kernel announces it. */
import { type InterfaceAddress, readAddress } from './addresses.ts';
import { type NetworkLink, readLink } from './links.ts';
import { messages, RTM } from './message.ts';
import { type Route, readRoute } from './routes.ts';

/** RTMGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE. */
export const MONITOR_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

export type NetworkChange =
  | { readonly kind: 'link'; readonly action: 'add' | 'del'; readonly link: NetworkLink }
  | { readonly kind: 'address'; readonly action: 'add' | 'del'; readonly address: InterfaceAddress }
  | { readonly kind: 'route'; readonly action: 'add' | 'del'; readonly route: Route }
  /** Announcements were lost: read everything again. */
  | { readonly kind: 'overrun' };

const change = (type: number, body: Buffer): NetworkChange | undefined => {
  const action = type === RTM.NEWLINK || type === RTM.NEWADDR || type === RTM.NEWROUTE ? 'add' : 'del';
  switch (type) {
    case RTM.NEWLINK:
    case RTM.DELLINK: {
      const link = readLink(body);
      return link && { kind: 'link', action, link };
    }
    case RTM.NEWADDR:
    case RTM.DELADDR: {
      const address = readAddress(body);
      return address && { kind: 'address', action, address };
    }
    case RTM.NEWROUTE:
    case RTM.DELROUTE: {
      const route = readRoute(body);
      return route && { kind: 'route', action, route };
    }
    default:
      return undefined;
  }
};

export const changes = (bytes: Buffer): NetworkChange[] =>
  bytes.length === 0
    ? [{ kind: 'overrun' }]
    : messages(bytes)
        .map(({ type, body }) => change(type, body))
        .filter((found) => found !== undefined);
