// SPDX-License-Identifier: Apache-2.0
/** A netlink socket for one piece of work in a network namespace, closed whatever comes of it. */
import { type Netlink, openNetlink } from '@weir/loader';

/** `netns`: its path; the agent's own unless given. */
export const withNetlink = async <T>(netns: string | undefined, work: (netlink: Netlink) => Promise<T>): Promise<T> => {
  const netlink = openNetlink(netns);
  try {
    return await work(netlink);
  } finally {
    netlink.close();
  }
};
