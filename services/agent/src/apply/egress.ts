// SPDX-License-Identifier: Apache-2.0
/**
 * Brings the maps of egress gateways to the plan, around what the executor and the uplinks do:
 *
 *   prepare   sets, gateways, groups, then the sources that name them: before a workload is flagged. When destinations and
 *             gateways change together, new connections wait in between (194); a failover is one write. A gateway of this
 *             host that is new, or is to have another address, has none yet (204); one that is not wanted any more
 *             serves nobody (194) before its uplink loses its program.
 *   finish    sources that nobody flags any more; addresses of this host's gateways, now that their uplinks give them
 *             out; what nothing names any more.
 *
 * So between any two writes a selected packet leaves with the old address, with the new one, or not at all.
 */
import type { DesiredEgress, WayOut } from '../plan/egress.ts';
import type { Egress, EgressGatewayValue, WayFound } from './ports.ts';

const NOTHING: DesiredEgress = { sources: new Map(), sets: new Map(), groups: new Map(), gateways: new Map() };
const NO_ADDRESS = { ifindex: 0, ip4: '', ip6: '' };

const sameGateway = (a: EgressGatewayValue | undefined, b: EgressGatewayValue): boolean =>
  a?.group === b.group &&
  a.tunnel === b.tunnel &&
  a.alive === b.alive &&
  a.ifindex === b.ifindex &&
  a.ip4 === b.ip4 &&
  a.ip6 === b.ip6;

const keyOf = (way: WayOut | undefined): string => (way ? `${way.interface} ${way.egressIp}` : '');

export class EgressApplier {
  readonly #port: Egress;
  #sources = new Map<string, number>();
  #sets = new Map<number, ReadonlyMap<string, number>>();
  #groups = new Map<number, { readonly chosen: number; readonly own: number }>();
  #gateways = new Map<number, EgressGatewayValue>();
  /** Where the address that a gateway has came from; of an earlier agent's it is not known. */
  readonly #ways = new Map<number, string>();

  constructor(port: Egress) {
    this.#port = port;
  }

  /** What an earlier agent left. */
  async load(): Promise<void> {
    const held = await this.#port.read();
    this.#sources = new Map(held.sources);
    this.#sets = new Map(held.sets);
    this.#groups = new Map(held.groups);
    this.#gateways = new Map(held.gateways);
  }

  async prepare(desired: DesiredEgress = NOTHING): Promise<void> {
    for (const [number, set] of desired.sets) await this.#writeSet(number, set);
    for (const [number, { group, tunnel, alive, way }] of desired.gateways) {
      const held = this.#gateways.get(number);
      const isSame = held?.group === group && held.tunnel === tunnel;
      const stays = isSame && (this.#ways.get(number) ?? keyOf(way)) === keyOf(way);
      await this.#writeGateway(number, { ...(stays ? held : NO_ADDRESS), group, tunnel, alive });
    }
    for (const [number, { chosen }] of this.#groups)
      if (!desired.groups.has(number)) await this.#writeGroup(number, chosen, 0);
    const moved = [...desired.sources].filter(([address, set]) => this.#sources.get(address) !== set);
    // Earlier destinations and later gateways are a way that nobody asked for: first there is none.
    if (moved.length > 0) await this.#closeChanging(desired.groups);
    for (const [address, set] of moved) {
      await this.#port.writeSource(address, set);
      this.#sources.set(address, set);
    }
    for (const [number, { chosen, own }] of desired.groups) await this.#writeGroup(number, chosen, own);
  }

  async #closeChanging(groups: DesiredEgress['groups']): Promise<void> {
    for (const [number, { chosen, own }] of groups) {
      const held = this.#groups.get(number);
      if (!held) await this.#writeGroup(number, chosen, own);
      else await this.#writeGroup(number, held.chosen === chosen ? chosen : 0, held.own === own ? own : 0);
    }
  }

  /** Returns what was not possible. */
  async finish(
    desired: DesiredEgress = NOTHING,
    wayFound: (way: WayOut) => WayFound | undefined,
  ): Promise<readonly string[]> {
    for (const address of [...this.#sources.keys()]) {
      if (desired.sources.has(address)) continue;
      await this.#port.removeSource(address);
      this.#sources.delete(address);
    }
    const failures = new Set<string>();
    for (const [number, { group, tunnel, alive, way }] of desired.gateways) {
      if (!way) continue;
      const found = wayFound(way);
      if (!found || (found.ip4 === '' && found.ip6 === '')) {
        const what = way.interface ? `interface ${way.interface} with an address` : `address ${way.egressIp}`;
        failures.add(`this host is an egress gateway and has no ${what}: what is to leave by it is dropped (204)`);
      }
      const value = { ...(found ?? NO_ADDRESS), group, tunnel, alive };
      // Half an address is on no packet: first it has no way out.
      if (value.ifindex !== 0 && !sameGateway(this.#gateways.get(number), value)) {
        await this.#writeGateway(number, { ...(this.#gateways.get(number) ?? value), ifindex: 0 });
        await this.#writeGateway(number, { ...value, ifindex: 0 });
      }
      await this.#writeGateway(number, value);
      this.#ways.set(number, keyOf(way));
    }
    for (const number of [...this.#groups.keys()]) {
      if (desired.groups.has(number)) continue;
      await this.#port.writeGroup(number, { chosen: 0, own: 0 });
      this.#groups.delete(number);
    }
    for (const number of [...this.#gateways.keys()]) {
      if (desired.gateways.has(number)) continue;
      await this.#port.writeGateway(number, undefined);
      this.#gateways.delete(number);
      this.#ways.delete(number);
    }
    for (const [number, set] of this.#sets) {
      if (desired.sets.has(number)) continue;
      await this.#port.removeRoutes(number, [...set.keys()]);
      this.#sets.delete(number);
    }
    return [...failures];
  }

  /** A set has one content for good; what a kill left of one is made whole. */
  async #writeSet(number: number, set: ReadonlyMap<string, number>): Promise<void> {
    const held = this.#sets.get(number);
    const missing = [...set].filter(([prefix, group]) => held?.get(prefix) !== group);
    if (missing.length > 0) await this.#port.writeRoutes(number, missing);
    const surplus = [...(held?.keys() ?? [])].filter((prefix) => !set.has(prefix));
    if (surplus.length > 0) await this.#port.removeRoutes(number, surplus);
    this.#sets.set(number, set);
  }

  async #writeGateway(number: number, value: EgressGatewayValue): Promise<void> {
    if (sameGateway(this.#gateways.get(number), value)) return;
    await this.#port.writeGateway(number, value);
    this.#gateways.set(number, value);
  }

  async #writeGroup(number: number, chosen: number, own: number): Promise<void> {
    const held = this.#groups.get(number);
    if (held?.chosen === chosen && held.own === own) return;
    await this.#port.writeGroup(number, { chosen, own });
    this.#groups.set(number, { chosen, own });
  }
}
