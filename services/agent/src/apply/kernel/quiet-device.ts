// SPDX-License-Identifier: Apache-2.0
/**
 * A device of ours between hosts, or into the host's own stack, on which nobody answers or announces anything: what it carries is known without asking. Who may
 * send from which address is checked by the program on it, or by WireGuard itself; a check of the stack would refuse, on a
 * device without an address, whatever it would not send back by it: what one host sends encrypted before the other does.
 */
import { setSysctl } from '@weir/loader';

const QUIET = {
  // its routes are of both families
  'ipv6/conf/X/disable_ipv6': '0',
  'ipv6/conf/X/addr_gen_mode': '1',
  'ipv6/conf/X/accept_ra': '0',
  'ipv6/conf/X/router_solicitations': '0',
  'ipv4/conf/X/rp_filter': '0',
  'ipv4/conf/X/send_redirects': '0',
} as const;

/** A setting below /proc/sys/net. One that this kernel or namespace does not have changes nothing. */
export const trySysctl = (netns: string | undefined, key: string, value: string): Promise<void> =>
  setSysctl(netns, `net/${key}`, value).catch(() => {});

export const quietDevice = async (netns: string | undefined, ifname: string): Promise<void> => {
  for (const [key, value] of Object.entries(QUIET)) await trySysctl(netns, key.replace('X', ifname), value);
};
