// SPDX-License-Identifier: Apache-2.0
/** What the tests of this package share: compiled fixtures, a bpffs folder of their own, and cleaning up. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createNetns, deleteNetns, openNetlink } from '../src/index.ts';

const fixtures = fileURLToPath(new URL('./fixtures', import.meta.url));
const include = fileURLToPath(new URL('../../include', import.meta.url));

let folder: string | undefined;
process.on('exit', () => folder && rmSync(folder, { recursive: true, force: true }));

/** Names of kernel things made by this test process. */
export const own = (name: string): string => `wl${process.pid}${name}`;

const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';

export const compile = (name: string, defines: readonly string[] = []): string => {
  folder ??= mkdtempSync(join(tmpdir(), 'weir-loader-'));
  const object = join(folder, `${name}${defines.join('').replaceAll(/\W/g, '')}.bpf.o`);
  if (existsSync(object)) return object;
  const flags = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', `-I${include}`, `-I/usr/include/${machine}-linux-gnu`];
  execFileSync('clang-19', [
    ...flags,
    ...defines.map((define) => `-D${define}`),
    '-c',
    join(fixtures, `${name}.bpf.c`),
    '-o',
    object,
  ]);
  return object;
};

export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

export const u64 = (value: bigint | number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};

/** A veth from this namespace into one of its own, with an address at each end; and what to do at the end. */
export interface Pair {
  readonly netns: string;
  readonly here: number;
  readonly hereIp: string;
  readonly thereIp: string;
  destroy(): Promise<void>;
}

let pairs = 0;

export const createPair = async (): Promise<Pair> => {
  const number = pairs++;
  const netns = `/run/netns/${own(`p${number}`)}`;
  const subnet = `10.${process.pid % 200}.${100 + number}`;
  await createNetns(netns);
  const root = openNetlink();
  const there = openNetlink(netns);
  try {
    const link = await root.addVeth({ name: own(`v${number}`), peer: 'eth0', peerNetns: netns });
    await root.addAddress(link.ifindex, `${subnet}.1/30`);
    await root.setUp(link.ifindex);
    const peer = await there.linkByName('eth0');
    assert.ok(peer);
    await there.setUp(1);
    await there.addAddress(peer.ifindex, `${subnet}.2/30`);
    await there.setUp(peer.ifindex);
    await there.addNeighbour({ ifindex: peer.ifindex, ip: `${subnet}.1`, mac: link.mac ?? '' });
    return {
      netns,
      here: link.ifindex,
      hereIp: `${subnet}.1`,
      thereIp: `${subnet}.2`,
      destroy: async () => {
        const netlink = openNetlink();
        if (await netlink.linkByIndex(link.ifindex)) await netlink.deleteLink(link.ifindex);
        netlink.close();
        await deleteNetns(netns);
      },
    };
  } catch (error) {
    await deleteNetns(netns);
    throw error;
  } finally {
    root.close();
    there.close();
  }
};

/** UDP packets out of the pair's namespace, as fast as node sends them, and how many arrived here. */
export interface Traffic {
  received(): number;
  /** Settles when a packet arrives; waits long, for slow machines. */
  flows(): Promise<void>;
  /** How many of the packets sent from now on, for that long, arrive. */
  during(ms: number): Promise<number>;
  stop(): Promise<void>;
}

const SENDER = `
const socket = require('node:dgram').createSocket('udp4');
const [port, address] = process.argv.slice(1);
const burst = () => {
  for (let i = 0; i < 20; i++) socket.send('x', Number(port), address);
  setTimeout(burst, 1);
};
socket.on('error', () => {});
burst();
process.stdout.write('sending');
`;

export const startTraffic = async (pair: Pair): Promise<Traffic> => {
  const socket = createSocket('udp4');
  let received = 0;
  socket.on('message', () => {
    received++;
  });
  await new Promise<void>((resolve) => socket.bind(0, pair.hereIp, resolve));
  const sender = spawn(
    'nsenter',
    [`--net=${pair.netns}`, process.execPath, '-e', SENDER, String(socket.address().port), pair.hereIp],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await once(sender.stdout, 'data');
  return {
    received: () => received,
    flows: async () => {
      await sleep(20); // what was under way arrives
      const before = received;
      for (let waited = 0; received === before && waited < 20_000; waited += 5) await sleep(5);
      assert.notEqual(received, before, 'no packet arrives');
    },
    during: async (ms) => {
      await sleep(50); // what was under way arrives
      const before = received;
      await sleep(ms);
      return received - before;
    },
    stop: async () => {
      sender.kill('SIGKILL');
      await once(sender, 'exit');
      socket.close();
    },
  };
};
