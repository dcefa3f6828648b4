// SPDX-License-Identifier: Apache-2.0
/** Settings of the kernel that the encrypting device needs, or would be held up by. */
import { getSysctl, setSysctl } from '@weir/loader';
import { WIREGUARD_NAME } from '../../plan/names.ts';

/**
 * Nobody answers or announces anything on this link. WireGuard itself checks who may send from which address; a loose check of
 * the stack would refuse, on a device without an address, whatever it would not send back by it: what one host sends
 * encrypted before the other does.
 */
const QUIET = {
  'ipv6/conf/X/disable_ipv6': '0',
  'ipv6/conf/X/addr_gen_mode': '1',
  'ipv6/conf/X/accept_ra': '0',
  'ipv6/conf/X/router_solicitations': '0',
  'ipv4/conf/X/rp_filter': '0',
  'ipv4/conf/X/send_redirects': '0',
} as const;

/** A setting that this kernel or namespace does not have changes nothing. */
const set = (netns: string | undefined, key: string, value: string): Promise<void> =>
  setSysctl(netns, `net/${key}`, value).catch(() => {});

export const quietDevice = async (netns: string | undefined): Promise<void> => {
  for (const [key, value] of Object.entries(QUIET)) await set(netns, key.replace('X', WIREGUARD_NAME), value);
};

/**
 * Strict source checks (rp_filter 1) ask by which interface an answer would go: to another host by the encrypting device, so
 * its packets, which come by the uplink, would all be dropped. Loose ones (2) ask only whether there is a way.
 */
export const loosenSourceChecks = async (netns: string | undefined, uplink: string | undefined): Promise<void> => {
  if (!uplink) return;
  const of = async (name: string): Promise<number> =>
    Number((await getSysctl(netns, `net/ipv4/conf/${name}/rp_filter`).catch(() => '0')).trim());
  if (Math.max(await of('all'), await of(uplink)) === 1) await set(netns, `ipv4/conf/${uplink}/rp_filter`, '2');
};
