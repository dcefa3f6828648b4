// SPDX-License-Identifier: Apache-2.0
/**
 * A host with two workloads, as network namespaces with the real programs attached, and small node programs inside
 * them that talk. Names contain the process id; destroy() removes everything.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { attachTc, createNetns, deleteNetns, openNetlink, setSysctl, type TcAttachment } from '@weir/loader';
import type { ObjectName } from '../../objects.ts';
import { HOST, type Workload, World } from './world.ts';

const path = (name: string): string => `/run/netns/wt${process.pid}${name}`;

const SERVER = `
const net = require('node:net'), dgram = require('node:dgram');
for (const port of [80, 81]) net.createServer((s) => s.on('error', () => {}).pipe(s)).listen({ port, host: '::' });
for (const type of ['udp4', 'udp6']) {
  const socket = dgram.createSocket({ type, ipv6Only: type === 'udp6' });
  socket.on('message', (data, from) => socket.send(data, from.port, from.address));
  socket.bind(53, type === 'udp4' ? '0.0.0.0' : '::');
}
setTimeout(() => process.stdout.write('ready'), 100);
`;

/** One try: how many bytes came back, or why none did. */
const CLIENT = `
const [kind, host, port, size] = process.argv.slice(1);
const data = Buffer.alloc(Number(size), 'x');
let back = 0;
const end = (result) => { process.stdout.write(String(result)); process.exit(0); };
setTimeout(() => end('timeout'), 1500);
const receive = (chunk) => { back += chunk.length; if (back >= data.length) end(back); };
if (kind === 'tcp') {
  const socket = require('node:net').connect(Number(port), host, () => socket.write(data));
  socket.on('data', receive).on('error', (error) => end(error.code));
} else {
  const socket = require('node:dgram').createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', receive).on('error', (error) => end(error.code));
  socket.connect(Number(port), host, () => socket.send(data));
}
`;

/** `cgroup`: folder of the one that it is in from the start. */
const inNamespace = (netns: string, script: string, args: readonly string[], cgroup?: string): ChildProcess => {
  const command = ['nsenter', `--net=${netns}`, process.execPath, '-e', script, '--', ...args];
  const [file = '', ...rest] = cgroup
    ? ['sh', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', cgroup, ...command]
    : command;
  return spawn(file, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
};

export interface Talk {
  readonly kind: 'tcp' | 'udp';
  readonly to: string;
  readonly port: number;
  readonly bytes?: number;
  /** Folder of the cgroup v2 that the client is in. */
  readonly cgroup?: string;
}

export const netnsOf = path;

export class Namespaces {
  readonly world: World;
  readonly a: Workload;
  readonly b: Workload;
  readonly #links: TcAttachment[];
  readonly #servers: ChildProcess[] = [];

  private constructor(world: World, a: Workload, b: Workload, links: TcAttachment[]) {
    this.world = world;
    this.a = a;
    this.b = b;
    this.#links = links;
  }

  static async create({
    mtuOfB,
    others,
  }: {
    mtuOfB?: number;
    others?: readonly ObjectName[];
  } = {}): Promise<Namespaces> {
    const world = await World.open({}, undefined, undefined, others);
    for (const name of ['host', 'a', 'b']) await createNetns(path(name));
    for (const key of ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding']) await setSysctl(path('host'), key, '1');
    const host = openNetlink(path('host'));
    await host.setUp(1);
    const links: TcAttachment[] = [];
    const workload = async (name: string, number: number): Promise<Workload> => {
      const ip4 = `10.77.0.${number}`;
      const ip6 = `fd77::${number}`;
      const veth = await host.addVeth({
        name: `v${name}`,
        peer: 'eth0',
        peerNetns: path(name),
        ...(name === 'b' && mtuOfB ? { mtu: mtuOfB } : {}),
      });
      const inside = openNetlink(path(name));
      const eth0 = await inside.linkByName('eth0');
      if (!eth0?.mac || !veth.mac) throw new Error('a veth has MACs');
      for (const prefix of [`${HOST.ip4}/32`, `${HOST.ip6}/128`, 'fe80::1/64']) {
        await host.addAddress(veth.ifindex, prefix, { nodad: true });
      }
      await inside.setUp(1);
      await inside.addAddress(eth0.ifindex, `${ip4}/32`);
      await inside.addAddress(eth0.ifindex, `${ip6}/128`, { nodad: true });
      await host.setUp(veth.ifindex);
      await inside.setUp(eth0.ifindex);
      for (const via of [HOST.ip4, 'fe80::1']) {
        await inside.addNeighbour({ ifindex: eth0.ifindex, ip: via, mac: veth.mac, permanent: true });
        await inside.replaceRoute({ dst: 'default', via, ifindex: eth0.ifindex, onlink: true });
      }
      for (const ip of [ip4, ip6]) {
        await host.addNeighbour({ ifindex: veth.ifindex, ip, mac: eth0.mac, permanent: true });
        await host.replaceRoute({ dst: ip.includes(':') ? `${ip}/128` : `${ip}/32`, ifindex: veth.ifindex });
      }
      inside.close();
      const netns = path('host');
      links.push(await attachTc(world.object.program('from_workload'), veth.ifindex, 'ingress', { netns }));
      links.push(await attachTc(world.object.program('to_workload'), veth.ifindex, 'egress', { netns }));
      const made = {
        ifindex: veth.ifindex,
        id: number,
        identity: 1000 + number,
        ip4,
        ip6,
        mac: eth0.mac,
        hostMac: veth.mac,
      };
      for (const ip of [ip4, ip6]) {
        world.local(ip, veth.ifindex);
        world.managed(ip, made.identity);
      }
      return made;
    };
    const a = await workload('a', 1);
    const b = await workload('b', 2);
    host.close();
    return new Namespaces(world, a, b, links);
  }

  async serve(where: 'host' | 'a' | 'b'): Promise<void> {
    const server = inNamespace(path(where), SERVER, []);
    this.#servers.push(server);
    const ended = once(server, 'exit').then(() => {
      throw new Error(`the server in ${where} ended`);
    });
    if (server.stdout) await Promise.race([once(server.stdout, 'data'), ended]);
    ended.catch(() => {});
  }

  /** What came back: a number of bytes, `timeout`, or the name of a socket error. */
  async talk(from: 'host' | 'a' | 'b', { kind, to, port, bytes = 10, cgroup }: Talk): Promise<string> {
    const client = inNamespace(path(from), CLIENT, [kind, to, `${port}`, `${bytes}`], cgroup);
    let text = '';
    client.stdout?.on('data', (chunk) => {
      text += chunk;
    });
    await once(client, 'close');
    return text;
  }

  /** The kernel's own count of what a workload sent: L3 bytes and packets, GSO packets as one. */
  sentBy(where: 'a' | 'b'): { bytes: number; packets: number } {
    const text = execFileSync('nsenter', [`--net=${path('host')}`, 'cat', '/proc/net/dev'], { encoding: 'utf8' });
    const line = text.split('\n').find((candidate) => candidate.trim().startsWith(`v${where}:`));
    const [bytes = 0, packets = 0] = (line?.split(':')[1] ?? '').trim().split(/\s+/).map(Number);
    return { bytes: bytes - packets * 14, packets };
  }

  async destroy(): Promise<void> {
    for (const server of this.#servers) {
      if (server.exitCode !== null || server.signalCode !== null) continue;
      server.kill('SIGKILL');
      await once(server, 'exit');
    }
    for (const link of this.#links) await link.detach();
    for (const name of ['a', 'b', 'host']) await deleteNetns(path(name));
    this.world.close();
  }
}
