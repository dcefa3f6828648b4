// SPDX-License-Identifier: Apache-2.0
/**
 * Next hops of the uplinks' routes, kept known: XDP sends to a backend only when the kernel knows its next hop's MAC already
 * (COUNTER_SERVICE_NO_NEIGHBOUR counts when it does not), and what it sends never makes the kernel ask. The kernel itself
 * asks for them again before they are old, without an agent too.
 */
import { withNetlink } from './netlink.ts';

interface Hop {
  readonly ifindex: number;
  readonly ip: string;
}

export class NextHops {
  readonly #hostNetns: string | undefined;
  readonly #kept = new Map<string, Hop>();

  constructor(hostNetns: string | undefined) {
    this.#hostNetns = hostNetns;
  }

  /** `uplinks`: where packets are sent by XDP; none = nowhere. Returns what was not possible. */
  async sync(uplinks: readonly { readonly ifindex: number; readonly ifname: string }[]): Promise<readonly string[]> {
    if (uplinks.length === 0 && this.#kept.size === 0) return [];
    const failures: string[] = [];
    await withNetlink(this.#hostNetns, async (netlink) => {
      const wanted = new Map<string, Hop>();
      for (const { via: ip, ifindex } of uplinks.length > 0 ? await netlink.routes() : []) {
        if (ip === undefined || ifindex === undefined || !uplinks.some((uplink) => uplink.ifindex === ifindex))
          continue;
        wanted.set(`${ifindex} ${ip}`, { ifindex, ip });
      }
      for (const [key, { ifindex, ip }] of wanted) {
        if (this.#kept.has(key)) continue;
        try {
          await netlink.keepNeighbour(ifindex, ip);
          this.#kept.set(key, { ifindex, ip });
        } catch (error) {
          failures.push(`the next hop ${ip} could not be kept known for XDP: ${(error as Error).message}`);
        }
      }
      for (const [key, { ifindex, ip }] of this.#kept) {
        if (wanted.has(key)) continue;
        this.#kept.delete(key);
        // With its interface it is gone already; else the kernel asks again when somebody sends to it.
        await netlink.delNeighbour(ifindex, ip).catch(() => undefined);
      }
    });
    return failures;
  }
}
