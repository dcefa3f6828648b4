// SPDX-License-Identifier: Apache-2.0
/**
 * One namespace's interfaces, addresses, routes and neighbours. The socket is made inside that namespace and stays
 * there; no thread of this process ever remains in another namespace.
 */
import { open } from 'node:fs/promises';
import { attempt, attemptAsync, isErrno } from '../errors.ts';
import { type Handle, native } from '../native.ts';
import * as addresses from './addresses.ts';
import * as links from './links.ts';
import { type Message, messages, NETLINK } from './message.ts';
import { changes, MONITOR_GROUPS, type NetworkChange } from './monitor.ts';
import * as qdiscs from './qdiscs.ts';
import * as routes from './routes.ts';
import * as rules from './rules.ts';

export class Netlink {
  readonly #handle: Handle;
  readonly #netns: string | undefined;

  /** @internal */
  constructor(netns: string | undefined) {
    this.#netns = netns;
    this.#handle = attempt(netns ?? 'netlink', () => native().netlinkOpen(netns, NETLINK.ROUTE));
  }

  async links(): Promise<links.NetworkLink[]> {
    return this.#read('links', links.listLinks(), links.readLink);
  }

  async linkByName(name: string): Promise<links.NetworkLink | undefined> {
    return this.#readOne(`interface ${name}`, links.getLinkByName(name));
  }

  async linkByIndex(ifindex: number): Promise<links.NetworkLink | undefined> {
    return this.#readOne(`interface ${ifindex}`, links.getLink(ifindex));
  }

  /** Both ends are made at once, the peer in its own namespace; returns this end. */
  async addVeth(options: links.VethOptions): Promise<links.NetworkLink> {
    const what = `veth ${options.name}`;
    await this.#withNetns(options.peerNetns, (fd) => this.#request(what, links.addVeth(options, fd)));
    return this.#made(options.name);
  }

  async addBridge(name: string): Promise<links.NetworkLink> {
    await this.#request(`bridge ${name}`, links.addLink('bridge', name));
    return this.#made(name);
  }

  async addVxlan(options: links.VxlanOptions): Promise<links.NetworkLink> {
    await this.#request(`vxlan ${options.name}`, links.addVxlan(options));
    return this.#made(options.name);
  }

  /** Needs the module, which the kernel loads when it has it; else the kernel refuses (EOPNOTSUPP). */
  async addWireguard(name: string, mtu?: number): Promise<links.NetworkLink> {
    await this.#request(`wireguard ${name}`, links.addLink('wireguard', name, mtu));
    return this.#made(name);
  }

  async setUp(ifindex: number): Promise<void> {
    await this.#request(`interface ${ifindex}`, links.setLinkUp(ifindex, true));
  }

  async setDown(ifindex: number): Promise<void> {
    await this.#request(`interface ${ifindex}`, links.setLinkUp(ifindex, false));
  }

  async setMac(ifindex: number, mac: string): Promise<void> {
    await this.#request(`interface ${ifindex}`, links.setLinkMac(ifindex, mac));
  }

  async setMtu(ifindex: number, mtu: number): Promise<void> {
    await this.#request(`interface ${ifindex}`, links.setLinkMtu(ifindex, mtu));
  }

  /** The interface must be down on older kernels. */
  async rename(ifindex: number, name: string): Promise<void> {
    await this.#request(`interface ${ifindex}`, links.setLinkName(ifindex, name));
  }

  /** 0 takes it out of its bridge. */
  async setMaster(ifindex: number, master: number): Promise<void> {
    await this.#request(`interface ${ifindex}`, links.setLinkMaster(ifindex, master));
  }

  async moveToNetns(ifindex: number, netns: string): Promise<void> {
    await this.#withNetns(netns, (fd) =>
      this.#request(`interface ${ifindex}`, links.setLinkNetns(ifindex, fd as number)),
    );
  }

  async deleteLink(ifindex: number): Promise<void> {
    await this.#request(`interface ${ifindex}`, links.deleteLink(ifindex));
  }

  async addresses(): Promise<addresses.InterfaceAddress[]> {
    return this.#read('addresses', addresses.listAddresses(), addresses.readAddress);
  }

  /** Adding what is there already changes only its options. */
  async addAddress(ifindex: number, cidr: string, options?: addresses.AddressOptions): Promise<void> {
    await this.#request(`address ${cidr} on interface ${ifindex}`, addresses.addAddress(ifindex, cidr, options));
  }

  async delAddress(ifindex: number, cidr: string): Promise<void> {
    await this.#request(`address ${cidr} on interface ${ifindex}`, addresses.deleteAddress(ifindex, cidr));
  }

  async routes(filter: routes.RouteFilter = {}): Promise<routes.Route[]> {
    try {
      const all = await this.#read('routes', routes.listRoutes(filter), routes.readRoute);
      return all.filter((route) => filter.table === undefined || route.table === filter.table);
    } catch (error) {
      if (filter.table !== undefined && isErrno(error, 'ENOENT')) return []; // no such table: nothing in it
      throw error;
    }
  }

  async replaceRoute(route: routes.RouteOptions): Promise<void> {
    await this.#request(`route ${route.dst}`, routes.replaceRoute(route));
  }

  async delRoute(route: routes.RouteOptions): Promise<void> {
    await this.#request(`route ${route.dst}`, routes.deleteRoute(route));
  }

  /** Policy rules of both families, or of one. */
  async rules(family?: 4 | 6): Promise<rules.Rule[]> {
    const families = family ? [family] : ([4, 6] as const);
    const found: rules.Rule[] = [];
    for (const one of families) found.push(...(await this.#read('rules', rules.listRules(one), rules.readRule)));
    return found;
  }

  async addRule(rule: rules.RuleOptions): Promise<void> {
    await this.#request(`rule of table ${rule.table}`, rules.addRule(rule));
  }

  async delRule(rule: rules.RuleOptions): Promise<void> {
    await this.#request(`rule of table ${rule.table}`, rules.deleteRule(rule));
  }

  async neighbours(family?: 4 | 6): Promise<addresses.Neighbour[]> {
    return this.#read('neighbours', addresses.listNeighbours(family), addresses.readNeighbour);
  }

  async addNeighbour(neighbour: addresses.NeighbourOptions): Promise<void> {
    await this.#request(`neighbour ${neighbour.ip}`, addresses.addNeighbour(neighbour));
  }

  /** The kernel finds out who has the address, and keeps asking, whether or not anybody sends to it. */
  async keepNeighbour(ifindex: number, ip: string): Promise<void> {
    await this.#request(`neighbour ${ip}`, addresses.keepNeighbour(ifindex, ip));
  }

  async delNeighbour(ifindex: number, ip: string): Promise<void> {
    await this.#request(`neighbour ${ip}`, addresses.deleteNeighbour(ifindex, ip));
  }

  async qdiscs(): Promise<qdiscs.Qdisc[]> {
    return this.#read('qdiscs', qdiscs.listQdiscs(), qdiscs.readQdisc);
  }

  /** Only where nobody has configured one: EEXIST. */
  async addFq(place: qdiscs.QdiscPlace, options: qdiscs.FqOptions): Promise<void> {
    await this.#request(`fq on interface ${place.ifindex}`, qdiscs.addFq(place, options));
  }

  async addMq(place: qdiscs.QdiscPlace): Promise<void> {
    await this.#request(`mq on interface ${place.ifindex}`, qdiscs.addMq(place));
  }

  /** The kernel puts its own in the place; what waits in it is lost. */
  async delQdisc(place: qdiscs.QdiscPlace): Promise<void> {
    await this.#request(`qdisc of interface ${place.ifindex}`, qdiscs.deleteQdisc(place));
  }

  /** Subscribed when this returns. `stop` settles after the last event was given. */
  monitor(onChange: (change: NetworkChange) => void): { stop(): Promise<void> } {
    const monitor = attempt('netlink monitor', () =>
      native().netlinkMonitor(this.#netns, MONITOR_GROUPS, (bytes) => {
        for (const change of changes(bytes)) onChange(change);
      }),
    );
    return { stop: () => native().backgroundStop(monitor) };
  }

  close(): void {
    native().close(this.#handle);
  }

  async #request(what: string, request: Buffer): Promise<Message[]> {
    return messages(await attemptAsync(what, () => native().netlinkRequest(this.#handle, request)));
  }

  async #read<T>(what: string, request: Buffer, read: (body: Buffer) => T | undefined): Promise<T[]> {
    return (await this.#request(what, request)).map(({ body }) => read(body)).filter((found) => found !== undefined);
  }

  async #readOne(what: string, request: Buffer): Promise<links.NetworkLink | undefined> {
    try {
      return (await this.#read(what, request, links.readLink))[0];
    } catch (error) {
      if (isErrno(error, 'ENODEV')) return undefined;
      throw error;
    }
  }

  async #made(name: string): Promise<links.NetworkLink> {
    // between the two requests somebody may have renamed or removed it
    const link = await this.linkByName(name);
    if (!link) throw new Error(`interface ${name} was removed while it was made`);
    return link;
  }

  async #withNetns<T>(netns: string | undefined, work: (fd: number | undefined) => Promise<T>): Promise<T> {
    if (netns === undefined) return work(undefined);
    const file = await open(netns, 'r');
    try {
      return await work(file.fd);
    } finally {
      await file.close();
    }
  }
}

/** Without a path: this process's own namespace. */
export const openNetlink = (netnsPath?: string): Netlink => new Netlink(netnsPath);
