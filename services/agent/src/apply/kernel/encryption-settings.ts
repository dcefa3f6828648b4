// SPDX-License-Identifier: Apache-2.0
/** A setting of the kernel that would hold up what is encrypted. */
import { getSysctl } from '@weir/loader';
import { trySysctl } from './quiet-device.ts';

/**
 * Strict source checks (rp_filter 1) ask by which interface an answer would go: to another host by the encrypting device, so
 * its packets, which come by the uplink, would all be dropped. Loose ones (2) ask only whether there is a way.
 */
export const loosenSourceChecks = async (netns: string | undefined, uplink: string | undefined): Promise<void> => {
  if (!uplink) return;
  const of = async (name: string): Promise<number> =>
    Number((await getSysctl(netns, `net/ipv4/conf/${name}/rp_filter`).catch(() => '0')).trim());
  if (Math.max(await of('all'), await of(uplink)) === 1) await trySysctl(netns, `ipv4/conf/${uplink}/rp_filter`, '2');
};
