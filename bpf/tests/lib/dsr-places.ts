// SPDX-License-Identifier: Apache-2.0
/**
 * A client, a balancer and the host of a backend behind one router, each a network namespace with the real programs, and a
 * workload on that host. The router sends the frontend's address to the balancer, so an answer that comes straight from
 * the backend's host is one that the balancer never saw.
 */
import { execFileSync } from 'node:child_process';
import {
  attachTc,
  attachXdp,
  createNetns,
  deleteNetns,
  type Link,
  openNetlink,
  setSysctl,
  type TcAttachment,
} from '@weir/loader';
import { uplink, weir_backend_flags, weir_uplink_flags } from '../../gen/index.ts';
import { mapped } from './bytes.ts';
import { IPIP, OPTION, type Vip, Vips } from './vips.ts';
import { World } from './world.ts';

/** How the backend's host hears what was asked for. */
export type Dispatch = 'ipip' | 'option';
const FLAGS: Readonly<Record<Dispatch, number>> = { ipip: IPIP, option: OPTION };

export const VIP = { ip4: '198.51.100.1', ip6: '2001:db8:5::1' } as const;
const BACKEND = { ip4: '10.60.0.1', ip6: 'fd60::1' } as const;
const HOST_SIDE = { ip4: '10.60.0.254', ip6: 'fd60::fe' } as const;
const PLACES = ['c', 'r', 'l', 'h', 'w'] as const;
type Place = (typeof PLACES)[number];
const BACKENDS = [1, 11] as const;
const SLOTS = 251;
/** Of the frontends. */
const PORTS = [[6, 80], [17, 80]] as const; // biome-ignore format: a table

const path = (place: Place): string => `/run/netns/wd${process.pid}${place}`;
const at = (net: number, host: number) => ({ ip4: `10.50.${net}.${host}`, ip6: `fd50:${net}::${host}` });
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

interface Joined {
  readonly ifindex: number;
  readonly mac: string;
}

/** `place` behind the router, in a network of its own. */
const join = async (place: Place, net: number): Promise<Joined> => {
  const router = openNetlink(path('r'));
  const inside = openNetlink(path(place));
  const here = await router.addVeth({ name: `v${place}`, peer: 'eth0', peerNetns: path(place) });
  const there = await inside.linkByName('eth0');
  if (!here.mac || !there?.mac) throw new Error('a veth has MACs');
  for (const [netlink, link, own] of [
    [router, here, at(net, 1)],
    [inside, there, at(net, 2)],
  ] as const) {
    // biome-ignore format: a table
    await netlink.addAddress(link.ifindex, `${own.ip4}/24`);
    await netlink.addAddress(link.ifindex, `${own.ip6}/64`, { nodad: true });
    await netlink.setUp(link.ifindex);
  }
  for (const via of Object.values(at(net, 1))) {
    await inside.addNeighbour({ ifindex: there.ifindex, ip: via, mac: here.mac, permanent: true });
    await inside.replaceRoute({ dst: 'default', via, ifindex: there.ifindex });
  }
  for (const ip of Object.values(at(net, 2)))
    await router.addNeighbour({ ifindex: here.ifindex, ip, mac: there.mac, permanent: true });
  router.close();
  inside.close();
  return { ifindex: there.ifindex, mac: there.mac };
};

const serveUplink = async (world: World, place: Place, ifindex: number): Promise<TcAttachment[]> => {
  const none = Buffer.alloc(16);
  const value = {
    ...{ flags: weir_uplink_flags.UPLINK_SERVICES, port_low: 50_000, port_high: 50_999, ip4: none, ip6: none },
    ...{ nat64_ip4: none, wireguard_port: 0, tunnel_port: 0 },
    ...{ service_ip4: mapped(at(2, 2).ip4), service_ip6: mapped(at(2, 2).ip6) },
  };
  world.map('uplinks').update(u32(ifindex), uplink.encode(value));
  const netns = path(place);
  return [
    await attachTc(world.program('from_uplink'), ifindex, 'ingress', { netns }),
    await attachTc(world.program('to_uplink'), ifindex, 'egress', { netns }),
  ];
};

export class DsrPlaces {
  readonly balancer: World;
  readonly host: World;
  readonly #ifindex: number;
  readonly #links: (TcAttachment | Link)[];

  private constructor(balancer: World, host: World, ifindex: number, links: (TcAttachment | Link)[]) {
    this.balancer = balancer;
    this.host = host;
    this.#ifindex = ifindex;
    this.#links = links;
  }

  static async create(): Promise<DsrPlaces> {
    for (const place of PLACES) await createNetns(path(place));
    for (const place of ['r', 'l', 'h'] as const)
      for (const key of ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding']) await setSysctl(path(place), key, '1');
    for (const place of PLACES) await setSysctl(path(place), 'net/ipv4/conf/all/rp_filter', '0');
    await join('c', 1);
    const l = await join('l', 2);
    const h = await join('h', 3);
    const balancer = await World.open({}, 4096, 1 << 20, ['frontend', 'accelerator']);
    const host = await World.open({}, 4096, 1 << 20, ['frontend', 'accelerator']);
    const links = await DsrPlaces.#workload(host);
    const router = openNetlink(path('r'));
    for (const [dst, via] of [
      [`${VIP.ip4}/32`, at(2, 2).ip4],
      [`${VIP.ip6}/128`, at(2, 2).ip6],
      ['10.60.0.0/24', at(3, 2).ip4],
      ['fd60::/64', at(3, 2).ip6],
    ] as const) {
      // biome-ignore format: a table
      const link = await router.linkByName(via === at(2, 2).ip4 || via === at(2, 2).ip6 ? 'vl' : 'vh');
      await router.replaceRoute({ dst, via, ifindex: link?.ifindex ?? 0 });
    }
    router.close();
    links.push(...(await serveUplink(balancer, 'l', l.ifindex)), ...(await serveUplink(host, 'h', h.ifindex)));
    for (const [world, flags] of [
      [balancer, weir_backend_flags.BACKEND_DSR],
      [host, weir_backend_flags.BACKEND_LOCAL],
    ] as const) {
      // biome-ignore format: a table
      const vips = new Vips(world);
      vips.settings(at(2, 2).ip4, at(2, 2).ip6);
      for (const [i, address] of [BACKEND.ip4, BACKEND.ip6].entries())
        vips.backend(BACKENDS[i] ?? 0, address, flags, 81);
    }
    const places = new DsrPlaces(balancer, host, l.ifindex, links);
    await places.serve('ipip');
    return places;
  }

  /** From now on the frontends are served so: by a table of Maglev, or by slots alone. */
  async serve(dispatch: Dispatch, isMaglev = true): Promise<void> {
    for (const world of [this.balancer, this.host])
      for (const [i, number] of BACKENDS.entries())
        for (const [protocol, port] of PORTS) {
          const address = i === 0 ? VIP.ip4 : VIP.ip6;
          const vip: Vip = { number: i + 1 + protocol * 2, address, port, protocol, flags: FLAGS[dispatch] };
          const slots = Array.from({ length: SLOTS }, () => [number, number] as const);
          const vips = new Vips(world);
          await vips.frontend(vip, isMaglev ? slots : []);
          vips.slot(vip.number, 0, number);
        }
  }

  static async #workload(world: World): Promise<(TcAttachment | Link)[]> {
    const host = openNetlink(path('h'));
    const inside = openNetlink(path('w'));
    const veth = await host.addVeth({ name: 'vw', peer: 'eth0', peerNetns: path('w') });
    const eth0 = await inside.linkByName('eth0');
    if (!veth.mac || !eth0?.mac) throw new Error('a veth has MACs');
    for (const prefix of [`${HOST_SIDE.ip4}/32`, `${HOST_SIDE.ip6}/128`])
      await host.addAddress(veth.ifindex, prefix, { nodad: true });
    await inside.setUp(1);
    await inside.addAddress(eth0.ifindex, `${BACKEND.ip4}/32`);
    await inside.addAddress(eth0.ifindex, `${BACKEND.ip6}/128`, { nodad: true });
    await host.setUp(veth.ifindex);
    await inside.setUp(eth0.ifindex);
    for (const via of [HOST_SIDE.ip4, HOST_SIDE.ip6]) {
      await inside.addNeighbour({ ifindex: eth0.ifindex, ip: via, mac: veth.mac, permanent: true });
      await inside.replaceRoute({ dst: 'default', via, ifindex: eth0.ifindex, onlink: true });
    }
    for (const ip of [BACKEND.ip4, BACKEND.ip6]) {
      await host.addNeighbour({ ifindex: veth.ifindex, ip, mac: eth0.mac, permanent: true });
      await host.replaceRoute({ dst: ip.includes(':') ? `${ip}/128` : `${ip}/32`, ifindex: veth.ifindex });
      world.local(ip, veth.ifindex);
      world.managed(ip, 1001);
    }
    host.close();
    inside.close();
    const who = { ifindex: veth.ifindex, id: 9, identity: 1001, ...BACKEND, mac: eth0.mac, hostMac: veth.mac };
    world.workload(who, 1);
    const netns = path('h');
    return [
      await attachTc(world.object.program('from_workload'), veth.ifindex, 'ingress', { netns }),
      await attachTc(world.object.program('to_workload'), veth.ifindex, 'egress', { netns }),
    ];
  }

  /** From now on the balancer's uplink has the XDP program too. */
  async accelerate(): Promise<void> {
    const program = this.balancer.program('accelerate_uplink');
    this.#links.push(await attachXdp(program, this.#ifindex, 'generic', { netns: path('l') }));
  }

  /** The balancer does not know any more who its next hop is. */
  async forgetNextHop(): Promise<void> {
    const netlink = openNetlink(path('l'));
    for (const ip of Object.values(at(2, 1))) await netlink.delNeighbour(this.#ifindex, ip);
    netlink.close();
  }

  netns(place: Place): string {
    return path(place);
  }

  /** Packets that the balancer's uplink has sent: those of clients, and no answer. */
  sentByBalancer(): number {
    const text = execFileSync('nsenter', [`--net=${path('l')}`, 'cat', '/proc/net/dev'], { encoding: 'utf8' });
    const line = text.split('\n').find((one) => one.trim().startsWith('eth0:'));
    return Number((line?.split(':')[1] ?? '').trim().split(/\s+/)[9]);
  }

  async destroy(): Promise<void> {
    for (const link of this.#links) await link.detach();
    for (const place of [...PLACES].reverse()) await deleteNetns(path(place));
    this.balancer.close();
    this.host.close();
  }
}
