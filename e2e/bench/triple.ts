// SPDX-License-Identifier: Apache-2.0
/**
 * A client, a router and a server, each a namespace, one triple for each variant of a path. What is compared stands on the
 * router, where a host's datapath stands: at its end of the client's veth.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { weirError } from '@weir/errors';
import { createNetns, deleteNetns, openNetlink, setSysctl } from '@weir/loader';
import { median } from './report.ts';

const RR = new URL('./build/rr', import.meta.url).pathname;
const PORT = 7000;
export const CLIENT_IP = '10.91.0.2';
export const SERVER_IP = '10.92.0.2';
const ROUTER_TO_CLIENT = '10.91.0.1';
const ROUTER_TO_SERVER = '10.92.0.1';

export interface Timing {
  readonly count: number;
  readonly p50Ns: number;
  readonly p99Ns: number;
}

export interface Triple {
  readonly name: string;
  /** Path of the router's namespace. */
  readonly router: string;
  /** The router's end of the client's veth. */
  readonly ifindex: number;
  readonly clientMac: string;
  readonly routerMac: string;
  time(kind: 'rr' | 'crr', ms: number): Promise<Timing>;
  destroy(): Promise<void>;
}

/** What its client asks for: the server unless told. */
export interface Asked {
  readonly address: string;
  readonly port: number;
  /** cgroup v2 folder that the client is in. */
  readonly cgroup?: string;
}

const run = promisify(execFile);
const JOIN = 'echo $$ > "$0/cgroup.procs" && exec "$@"';

const ended = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
};

export const createTriple = async (
  name: string,
  cpu: number,
  { address, port, cgroup }: Asked = { address: SERVER_IP, port: PORT },
): Promise<Triple> => {
  const path = (part: string): string => `/run/netns/wb${process.pid}-${name}-${part}`;
  const parts = ['client', 'router', 'server'].map(path);
  const [client, router, server] = parts as [string, string, string];
  for (const netns of parts) await createNetns(netns);
  await setSysctl(router, 'net/ipv4/ip_forward', '1');
  const here = openNetlink(router);
  const link = async (peer: string, veth: string, mine: string, theirs: string) => {
    const outer = await here.addVeth({ name: veth, peer: 'eth0', peerNetns: peer });
    const inside = openNetlink(peer);
    const inner = await inside.linkByName('eth0');
    if (!inner?.mac || !outer.mac) throw weirError('KERNEL', `the veth ${veth} has no MAC`);
    await here.addAddress(outer.ifindex, `${mine}/24`);
    await inside.addAddress(inner.ifindex, `${theirs}/24`);
    await here.setUp(outer.ifindex);
    await inside.setUp(inner.ifindex);
    await inside.addNeighbour({ ifindex: inner.ifindex, ip: mine, mac: outer.mac, permanent: true });
    await here.addNeighbour({ ifindex: outer.ifindex, ip: theirs, mac: inner.mac, permanent: true });
    await inside.replaceRoute({ dst: 'default', via: mine, ifindex: inner.ifindex });
    inside.close();
    return { ifindex: outer.ifindex, mac: outer.mac, peerMac: inner.mac };
  };
  const toClient = await link(client, 'client', ROUTER_TO_CLIENT, CLIENT_IP);
  await link(server, 'server', ROUTER_TO_SERVER, SERVER_IP);
  here.close();
  const serving = spawn(RR, ['serve', server, String(PORT), String(cpu)], { stdio: ['ignore', 'pipe', 'inherit'] });
  await Promise.race([
    once(serving.stdout, 'data'),
    once(serving, 'exit').then(() => {
      throw weirError('INTERNAL', `the server of ${name} did not start`);
    }),
  ]);
  return {
    name,
    router,
    ifindex: toClient.ifindex,
    clientMac: toClient.peerMac,
    routerMac: toClient.mac,
    time: async (kind, ms) => {
      const ask = [RR, 'ask', client, address, String(port), String(cpu), kind, String(ms)];
      const [program = '', ...args] = cgroup === undefined ? ask : ['sh', '-c', JOIN, cgroup, ...ask];
      const { stdout } = await run(program, args);
      return JSON.parse(stdout);
    },
    destroy: async () => {
      serving.kill('SIGKILL');
      await ended(serving);
      for (const netns of parts) await deleteNetns(netns);
    },
  };
};

export interface Compared {
  /** Median of all rounds. */
  readonly value: number;
  /** To the first: the median over the rounds of what each round says by itself. */
  readonly ratio: number;
}

/**
 * Many short rounds with every one in each, there and back: what the machine does meanwhile meets neighbours alike, and a
 * ratio compares only what was measured within a second or two.
 */
export const compareBy = async <T>(
  items: readonly T[],
  rounds: number,
  measure: (item: T) => Promise<number>,
): Promise<Compared[]> => {
  const measured: number[][] = [];
  for (let round = 0; round < rounds; round++) {
    const values: number[] = [];
    const order = [...items.keys()];
    for (const i of round % 2 === 0 ? order : order.reverse()) values[i] = await measure(items[i] as T);
    measured.push(values);
  }
  return items.map((_, i) => ({
    value: median(measured.map((values) => values[i] as number)),
    ratio: median(measured.map((values) => (values[i] as number) / (values[0] as number))),
  }));
};

/** p50 of requests, ns. */
export const compare = (
  triples: readonly Pick<Triple, 'time'>[],
  kind: 'rr' | 'crr',
  rounds: number,
  ms: number,
): Promise<Compared[]> => compareBy(triples, rounds, async (triple) => (await triple.time(kind, ms)).p50Ns);
