// SPDX-License-Identifier: Apache-2.0
/**
 * Two hosts with a workload each, joined by VXLAN: through our programs and device as an agent makes them, or through a plain
 * device with one peer, routes, and nothing judged. Each path has namespaces of its own; client and server are the workloads.
 * The tunnel and what it carries are of one family.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { weir_tunnel_flags } from '@weir/bpf';
import { CLOSED, type Rule, World } from '@weir/bpf/testing/world';
import { weirError } from '@weir/errors';
import {
  attachTc,
  createNetns,
  deleteNetns,
  type Netlink,
  openNetlink,
  type Ring,
  ringBuffer,
  setSysctl,
  type TcAttachment,
} from '@weir/loader';
import type { Timing } from './triple.ts';

const RR = new URL('./build/rr', import.meta.url).pathname;
const UPLINK_MTU = 1500;
/** Ethernet, IP, UDP and VXLAN headers, less the outer Ethernet (RFC 7348 5). */
const OVERHEAD = { 4: 50, 6: 70 } as const;
const VXLAN_PORT = 8472;
const [QUESTIONS, TRANSFERS] = [7000, 7001];
const TCP = 6;
/** As an agent runs it. */
const SWEEP_EVERY_MS = 1000;
const MAX_CONNTRACK = 65_536;
const RING_BYTES = 8 << 20;
const FIRST_CIDR_IDENTITY = 16_777_217;

export type TunnelFamily = 4 | 6;

interface End {
  readonly n: 1 | 2;
  readonly underlay: string;
  readonly workload: string;
  readonly gateway: string;
  /** Of the plain device. */
  readonly device: string;
  readonly identity: number;
}

const endOf = (n: 1 | 2, family: TunnelFamily): End => ({
  n,
  identity: 1000 + n,
  ...(family === 4
    ? { underlay: `198.18.253.${n}`, workload: `10.9${n}.0.2`, gateway: `10.9${n}.0.1`, device: `172.31.0.${n}` }
    : { underlay: `fd18:253::${n}`, workload: `fd9${n}::2`, gateway: `fd9${n}::1`, device: `fd31::${n}` }),
});
const linkBits = (family: TunnelFamily): number => (family === 4 ? 24 : 64);
const hostBits = (family: TunnelFamily): number => (family === 4 ? 32 : 128);

interface Side {
  readonly end: End;
  readonly other: End;
  readonly family: TunnelFamily;
  /** Path of the host's namespace. */
  readonly host: string;
  readonly socket: Netlink;
  /** The host's end of its workload's veth. */
  readonly veth: number;
  readonly mac: string;
  readonly hostMac: string;
}

const run = promisify(execFile);

const standPlain = async ({ end, other, family, host, socket }: Side): Promise<void> => {
  const ip = (...words: string[]) => run('nsenter', [`--net=${host}`, '--', 'ip', ...words]);
  const ends = ['local', end.underlay, 'remote', other.underlay, 'dev', 'uplink0'];
  await ip('link', 'add', 'vx', 'type', 'vxlan', 'id', '42', 'dstport', String(VXLAN_PORT), ...ends);
  await ip('link', 'set', 'vx', 'mtu', String(UPLINK_MTU - OVERHEAD[family]), 'up');
  const device = await socket.linkByName('vx');
  if (!device) throw weirError('KERNEL', 'the plain VXLAN device is not there');
  await socket.addAddress(device.ifindex, `${end.device}/${linkBits(family)}`, family === 6 ? { nodad: true } : {});
  await socket.replaceRoute({ dst: `${other.workload}/${hostBits(family)}`, via: other.device });
};

/** Rules that let client and server talk, and others with a prefix each. */
const rulesOf = (world: World, { end, other }: Side, count: number): Rule[] => {
  const egress = end.n === 1;
  const rules: Rule[] = [QUESTIONS, TRANSFERS].map((port, i) => ({
    ...{ egress, identity: other.identity, protocol: TCP, port, id: 1 + i },
  }));
  for (let i = rules.length; i < count; i++) {
    world.cidr(`172.${16 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}/32`, FIRST_CIDR_IDENTITY + i);
    rules.push({ egress, identity: FIRST_CIDR_IDENTITY + i, protocol: TCP, port: QUESTIONS, id: 1 + i });
  }
  return rules;
};

/** Programs, maps and device as an agent makes them; flows are reported, connections swept. */
const standOurs = async (side: Side, rules: number): Promise<() => Promise<void>> => {
  const { end, other, family, host, socket, veth, mac, hostMac } = side;
  const world = await World.open({}, MAX_CONNTRACK, RING_BYTES, ['overlay']);
  const mtu = UPLINK_MTU - OVERHEAD[family];
  const device = await socket.addVxlan({ name: 'weir_vxlan', port: VXLAN_PORT, sourceLow: 0, sourceHigh: 0, mtu });
  const own = { ifindex: veth, id: end.n, identity: end.identity, mac, hostMac };
  world.local(end.workload, veth);
  world.managed(end.workload, end.identity);
  world.managed(other.workload, other.identity, other.n);
  for (const identity of [end.identity, other.identity]) world.identityExists(identity);
  const flags = weir_tunnel_flags.TUNNEL_SEND | weir_tunnel_flags.TUNNEL_ONLY;
  world.tunnel(other.n, { remote: other.underlay, local: end.underlay, flags, ifindex: device.ifindex });
  const who = { ...own, ...(family === 4 ? { ip4: end.workload, ip6: '::' } : { ip4: '::', ip6: end.workload }) };
  await world.policy(who, rulesOf(world, side, rules), CLOSED);
  const links: TcAttachment[] = [];
  for (const [ifindex, direction, program] of [
    [veth, 'ingress', 'from_workload'],
    [veth, 'egress', 'to_workload'],
    [device.ifindex, 'ingress', 'from_overlay'],
    [device.ifindex, 'egress', 'to_overlay'],
  ] as const)
    links.push(await attachTc(world.program(program), ifindex, direction, { netns: host }));
  await socket.setUp(device.ifindex);
  await socket.replaceRoute({ dst: `${other.workload}/${hostBits(family)}`, ifindex: device.ifindex });
  const ring: Ring = ringBuffer({ map: world.map('events'), flow: { boot: 1n, firstSeq: 1n }, onBatch: () => {} });
  let sweeping: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    sweeping = sweeping.then(() => world.sweep());
  }, SWEEP_EVERY_MS);
  return async () => {
    clearInterval(timer);
    await sweeping;
    for (const link of links) await link.detach();
    await ring.stop();
    world.close();
  };
};

export interface Transfer {
  readonly bytes: number;
  readonly ns: number;
}

export interface TunnelPath {
  readonly name: string;
  /** Of the client's interface, bytes. */
  readonly mtu: number;
  time(kind: 'rr' | 'crr', ms: number): Promise<Timing>;
  transfer(ms: number): Promise<Transfer>;
  destroy(): Promise<void>;
}

const serveIn = async (verb: 'serve' | 'sink', netns: string, port: number, cpu: number, family: TunnelFamily) => {
  const words = [verb, netns, String(port), String(cpu), ...(family === 6 ? ['6'] : [])];
  const serving: ChildProcess = spawn(RR, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  await Promise.race([
    once(serving.stdout as NodeJS.ReadableStream, 'data'),
    once(serving, 'exit').then(() => {
      throw weirError('INTERNAL', `rr ${words.join(' ')} did not start`);
    }),
  ]);
  return async (): Promise<void> => {
    serving.kill('SIGKILL');
    if (serving.exitCode === null && serving.signalCode === null) await once(serving, 'exit');
  };
};

/** `rules`: of each workload's policy; undefined: the plain tunnel. */
export const createTunnelPath = async (
  name: string,
  family: TunnelFamily,
  rules: number | undefined,
  cpu: number,
): Promise<TunnelPath> => {
  const path = (part: string): string => `/run/netns/wb${process.pid}-${name}-${part}`;
  const undo: (() => Promise<void> | void)[] = [];
  const make = async (part: string): Promise<string> => {
    const netns = path(part);
    await createNetns(netns);
    undo.unshift(() => deleteNetns(netns));
    return netns;
  };
  const ends = [endOf(1, family), endOf(2, family)] as const;
  const bits = linkBits(family);
  const options = family === 6 ? { nodad: true } : {};
  const mtu = UPLINK_MTU - OVERHEAD[family];
  try {
    const sockets: Netlink[] = [];
    for (const { n } of ends) {
      const host = await make(`host${n}`);
      await make(`workload${n}`);
      await setSysctl(host, 'net/ipv4/ip_forward', '1');
      await setSysctl(host, 'net/ipv6/conf/all/forwarding', '1');
      const socket = openNetlink(host);
      undo.unshift(() => socket.close());
      sockets.push(socket);
    }
    await sockets[0]?.addVeth({ name: 'uplink0', peer: 'uplink0', peerNetns: path('host2'), mtu: UPLINK_MTU });
    for (const [i, end] of ends.entries()) {
      const socket = sockets[i] as Netlink;
      const uplink = await socket.linkByName('uplink0');
      if (!uplink) throw weirError('KERNEL', 'a host has no uplink');
      await socket.addAddress(uplink.ifindex, `${end.underlay}/${bits}`, options);
      await socket.setUp(uplink.ifindex);
    }
    for (const [i, end] of ends.entries()) {
      const socket = sockets[i] as Netlink;
      const workload = path(`workload${end.n}`);
      const veth = await socket.addVeth({ name: 'w0', peer: 'eth0', peerNetns: workload, mtu });
      const inside = openNetlink(workload);
      undo.unshift(() => inside.close());
      const eth = await inside.linkByName('eth0');
      if (!eth?.mac || !veth.mac) throw weirError('KERNEL', 'a veth has no MAC');
      await socket.addAddress(veth.ifindex, `${end.gateway}/${bits}`, options);
      await inside.addAddress(eth.ifindex, `${end.workload}/${bits}`, options);
      await socket.setUp(veth.ifindex);
      await inside.setUp(eth.ifindex);
      await socket.addNeighbour({ ifindex: veth.ifindex, ip: end.workload, mac: eth.mac, permanent: true });
      await inside.addNeighbour({ ifindex: eth.ifindex, ip: end.gateway, mac: veth.mac, permanent: true });
      await inside.replaceRoute({ dst: family === 4 ? '0.0.0.0/0' : '::/0', via: end.gateway, ifindex: eth.ifindex });
      const side: Side = {
        ...{ end, other: ends[1 - i] as End, family, host: path(`host${end.n}`), socket },
        ...{ veth: veth.ifindex, mac: eth.mac, hostMac: veth.mac },
      };
      if (rules === undefined) await standPlain(side);
      else undo.unshift(await standOurs(side, rules));
    }
    undo.unshift(await serveIn('serve', path('workload2'), QUESTIONS, cpu, family));
    undo.unshift(await serveIn('sink', path('workload2'), TRANSFERS, cpu, family));
  } catch (error) {
    for (const step of undo) await step();
    throw error;
  }
  const ask = async (kind: string, port: number, ms: number) => {
    const words = ['ask', path('workload1'), ends[1].workload, String(port), String(cpu), kind, String(ms)];
    return JSON.parse((await run(RR, words)).stdout);
  };
  return {
    name,
    mtu,
    time: (kind, ms) => ask(kind, QUESTIONS, ms),
    transfer: (ms) => ask('stream', TRANSFERS, ms),
    destroy: async () => {
      for (const step of undo) await step();
    },
  };
};
