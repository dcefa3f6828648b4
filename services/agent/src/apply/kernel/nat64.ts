// SPDX-License-Identifier: Apache-2.0
/**
 * NAT64 of the real kernel: a device of the host to which the prefix is routed. What the stack sends there is translated
 * by its program and leaves by an uplink, or goes straight to a workload of this host; nothing leaves by the device.
 *
 * A pair of interfaces whose other end nobody uses, because every kernel has that kind; routes lead through a neighbour
 * that is set for ever, because nobody answers on it. Its MTU is the uplink's and what the headers differ by, so the
 * stack says what does not fit.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { nat64 as nat64Codec } from '@weir/bpf';
import { type BpfObject, type Netlink, type NetworkLink, tcxSupported } from '@weir/loader';
import { parseCidr, parseIp, parseMac } from '@weir/net';
import { NAT64_NAME, NAT64_PEER } from '../../plan/names.ts';
import { type KernelAttachments, kernelAttachments } from './attachments.ts';
import { withNetlink } from './netlink.ts';
import { quietDevice } from './quiet-device.ts';
import type { UplinkInterface } from './uplink-interfaces.ts';
import { openTranslating, type UplinkOptions } from './uplink-objects.ts';

/** IPv4 dummy address (RFC 7600 4.8): never another host's; who translated peers are to workloads of this host. */
const HAIRPIN4 = '192.0.0.8';
const NEXT6 = 'fe80::64';
const HEADER_DIFFERENCE_BYTES = 20;
const MTU_MIN_IPV6 = 1280;
const SIDES = [{ direction: 'egress', program: 'to_nat64' }] as const;
const KEY = Buffer.alloc(4);
/** Not that of the pools' routes, of which each change removes what it does not know. */
const ROUTE_PROTOCOL = 88;

const linksDirOf = (bpffsDir: string): string => join(bpffsDir, 'nat64-links');

/** Its routes go with it. */
export const removeNat64Device = (hostNetns: string | undefined): Promise<void> =>
  withNetlink(hostNetns, async (socket) => {
    const link = await socket.linkByName(NAT64_NAME);
    if (link) await socket.deleteLink(link.ifindex);
  });

export class Nat64Device {
  readonly #options: UplinkOptions;
  #object: BpfObject | undefined;
  #attachments: KernelAttachments | undefined;
  #ifindex = 0;
  /** What the map holds, as hex. */
  #held = '';
  #isSynced = false;
  #wanted: { readonly prefix: string; readonly mtu: number } | undefined;

  constructor(options: UplinkOptions) {
    this.#options = options;
  }

  doubt(): void {
    this.#held = '';
    this.#isSynced = false;
  }

  async sync(prefix: string | undefined, uplinks: readonly UplinkInterface[]): Promise<void> {
    if (prefix === undefined) {
      if (this.#object || existsSync(linksDirOf(this.#options.bpffsDir))) await this.#end();
      return;
    }
    const uplink = uplinks.find(({ ip4 }) => ip4 !== '');
    await withNetlink(this.#options.hostNetns, async (socket) => {
      const mtu = await this.#mtu(socket, uplink);
      if (this.#wanted?.prefix !== prefix || this.#wanted.mtu !== mtu) this.#isSynced = false;
      this.#wanted = { prefix, mtu };
      const link = this.#isSynced ? undefined : await this.#ensureDevice(socket, mtu);
      if (link) this.#ifindex = link.ifindex;
      await this.#write(prefix, uplink?.ifindex ?? 0, link?.mac);
      if (!link) return;
      if (!link.up) await this.#setUp(socket, link);
      await this.#route(socket, prefix, link);
      this.#isSynced = true;
    });
  }

  async #mtu(socket: Netlink, uplink: UplinkInterface | undefined): Promise<number> {
    const mtu = (uplink && (await socket.linkByName(uplink.ifname))?.mtu) ?? 0;
    return Math.max(mtu + HEADER_DIFFERENCE_BYTES, MTU_MIN_IPV6);
  }

  async #open(): Promise<KernelAttachments> {
    const { bpffsDir, hostNetns } = this.#options;
    this.#object ??= await openTranslating('nat64', this.#options);
    this.#attachments ??= kernelAttachments(this.#object, {
      ...{ linksDir: linksDirOf(bpffsDir), tcx: await tcxSupported(), sides: SIDES },
      ...(hostNetns ? { hostNetns } : {}),
    });
    return this.#attachments;
  }

  /** There, with its program, of the right size; down when it was just made. */
  async #ensureDevice(socket: Netlink, mtu: number): Promise<NetworkLink> {
    const attachments = await this.#open();
    let link = await socket.linkByName(NAT64_NAME);
    if (!link) {
      await attachments.release(NAT64_NAME);
      link = await socket.addVeth({ name: NAT64_NAME, peer: NAT64_PEER, mtu });
    }
    if (link.mtu !== mtu) await socket.setMtu(link.ifindex, mtu);
    await attachments.attach(NAT64_NAME, link.ifindex);
    return link;
  }

  async #setUp(socket: Netlink, link: NetworkLink): Promise<void> {
    const peer = await socket.linkByName(NAT64_PEER);
    // No address is needed: errors of the host are translated whatever it is called.
    for (const ifname of [NAT64_NAME, NAT64_PEER]) await quietDevice(this.#options.hostNetns, ifname);
    if (peer) await socket.setUp(peer.ifindex);
    await socket.setUp(link.ifindex);
  }

  async #route(socket: Netlink, prefix: string, { ifindex, mac }: NetworkLink): Promise<void> {
    const nobody = mac as string;
    await socket.addNeighbour({ ifindex, ip: NEXT6, mac: nobody });
    await socket.addNeighbour({ ifindex, ip: HAIRPIN4, mac: nobody });
    await socket.replaceRoute({ dst: `${HAIRPIN4}/32`, ifindex, scope: 'link', protocol: ROUTE_PROTOCOL });
    await socket.replaceRoute({ dst: prefix, via: NEXT6, ifindex, protocol: ROUTE_PROTOCOL });
    for (const route of await socket.routes()) {
      const { dst, via } = route;
      if (route.ifindex !== ifindex || via !== NEXT6 || dst === prefix) continue;
      await socket.delRoute({ dst, via, ifindex, protocol: ROUTE_PROTOCOL });
    }
  }

  async #write(prefix: string, uplink: number, mac: string | undefined): Promise<void> {
    const map = (this.#object as BpfObject).map('nat64');
    const before = map.lookup(KEY);
    const known = before && nat64Codec.decode(before);
    const value = nat64Codec.encode({
      ...{ prefix: parseCidr(prefix).addr, hairpin4: parseIp(HAIRPIN4), ifindex: this.#ifindex, uplink },
      mac: mac === undefined ? (known?.mac ?? Buffer.alloc(6)) : parseMac(mac),
    });
    this.#held = value.toString('hex');
    if (before?.toString('hex') !== this.#held) map.update(KEY, value);
  }

  /** What is wrong, said; the next `sync` mends it. */
  async inspect(): Promise<string[]> {
    const attachments = this.#attachments;
    const object = this.#object;
    if (!attachments || !object || !this.#wanted || !this.#isSynced) return [];
    const { prefix } = this.#wanted;
    const problems = await withNetlink(this.#options.hostNetns, async (socket) => {
      const link = await socket.linkByName(NAT64_NAME);
      if (link?.ifindex !== this.#ifindex) return [`the device ${NAT64_NAME} was removed`];
      const missing = await attachments.check(NAT64_NAME, link.ifindex);
      const routes = await socket.routes();
      return [
        ...(link.up ? [] : [`${NAT64_NAME} was set down`]),
        ...missing.map((what) => `${NAT64_NAME}: ${what}`),
        ...(routes.some(({ dst, ifindex }) => dst === prefix && ifindex === link.ifindex)
          ? []
          : [`the route to ${prefix} was removed`]),
      ];
    });
    if (object.map('nat64').lookup(KEY)?.toString('hex') !== this.#held)
      problems.push(`the entry of the map 'nat64' was changed`);
    if (problems.length > 0) this.doubt();
    return problems;
  }

  async #end(): Promise<void> {
    const { bpffsDir, hostNetns } = this.#options;
    const attachments = await this.#open();
    (this.#object as BpfObject).map('nat64').update(KEY, Buffer.alloc(nat64Codec.size));
    await removeNat64Device(hostNetns);
    await attachments.release(NAT64_NAME);
    this.close();
    this.#wanted = undefined;
    this.#ifindex = 0;
    this.doubt();
    await rm(linksDirOf(bpffsDir), { recursive: true, force: true });
  }

  close(): void {
    this.#attachments?.close();
    this.#object?.close();
    this.#attachments = undefined;
    this.#object = undefined;
  }
}
