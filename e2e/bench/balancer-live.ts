// SPDX-License-Identifier: Apache-2.0
/**
 * Frames that are really sent (BPF_F_TEST_XDP_LIVE_FRAMES), into a veth for each lane, and what becomes of them at its other
 * end: dropped in XDP, sent back by XDP, balanced by our program, forwarded by the stack, and forwarded after nftables has
 * given them another destination. In nanoseconds a frame over dropping it; all lanes in turn, in one run.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { objectPath } from '@weir/bpf/objects';
import { Vips } from '@weir/bpf/testing/vips';
import { weirError } from '@weir/errors';
import {
  attachXdp,
  type BpfObject,
  type BpfProgram,
  createNetns,
  deleteNetns,
  ensureBpffs,
  type Link,
  openNetlink,
  openObject,
  setSysctl,
} from '@weir/loader';
import { parseIp } from '@weir/net';
import { fillVip, VIP, VIP_PORT } from './balancer-lanes.ts';
import { atLeast, type BenchOptions, median, type Row } from './report.ts';

const LANES = ['drop', 'tx', 'ours', 'forward', 'nft'] as const;
type Lane = (typeof LANES)[number];

const FLOWS = 1 << 10;
const FRAME_BYTES = 64;
const LIVE_FRAMES = 1 << 1;
/** Well below a veth's ring of 256. */
const BATCH = 64;
const BACKENDS = 100;
/** Frames that did not arrive, of all, before a round counts for nothing. */
const MOST_LOST = 0.01;

interface Place {
  readonly sender: string;
  readonly receiver: string;
  readonly near: { readonly ifindex: number; readonly mac: string };
  readonly far: { readonly ifindex: number; readonly mac: string };
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const macBytes = (text: string): Buffer => Buffer.from(text.replaceAll(':', ''), 'hex');

const stand = async (lane: Lane): Promise<Place> => {
  const path = (part: string): string => `/run/netns/wl${process.pid}-${lane}-${part}`;
  const [sender, receiver] = [path('s'), path('r')];
  for (const netns of [sender, receiver]) await createNetns(netns);
  const there = openNetlink(receiver);
  const here = openNetlink(sender);
  try {
    const far = await there.addVeth({ name: 'in', peer: 'eth0', peerNetns: sender });
    const near = await here.linkByName('eth0');
    if (!far.mac || !near?.mac) throw weirError('KERNEL', `the veth of ${lane} has no MAC`);
    await there.setUp(far.ifindex);
    await here.setUp(near.ifindex);
    return {
      sender,
      receiver,
      near: { ifindex: near.ifindex, mac: near.mac },
      far: { ifindex: far.ifindex, mac: far.mac },
    };
  } finally {
    there.close();
    here.close();
  }
};

/** The stack forwards what is for the backends, and for the address itself, into a device that drops all that it is given (ifb). */
const forward = async ({ receiver }: Place): Promise<void> => {
  const run = (...args: string[]) => execFileSync('ip', ['-n', receiver.split('/').at(-1) as string, ...args]);
  await setSysctl(receiver, 'net/ipv4/ip_forward', '1');
  for (const name of ['all', 'in']) await setSysctl(receiver, `net/ipv4/conf/${name}/rp_filter`, '0');
  run('address', 'add', '10.93.0.1/24', 'dev', 'in');
  run('route', 'add', '10.0.0.0/9', 'via', '10.93.0.2', 'dev', 'in');
  run('neighbour', 'add', '10.93.0.2', 'lladdr', '02:00:00:00:00:02', 'dev', 'in');
  run('link', 'add', 'out', 'type', 'ifb');
  run('link', 'set', 'out', 'up');
  for (const to of [`${VIP}/32`, '10.200.0.0/16']) run('route', 'add', to, 'dev', 'out');
};

const RULES = `table ip bench {
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr ${VIP} tcp dport ${VIP_PORT} dnat to jhash ip saddr . tcp sport mod ${BACKENDS} map {
      ${Array.from({ length: BACKENDS }, (_, i) => `${i} : 10.200.0.${i + 1}`).join(', ')} }
  }
}`;

const translate = async ({ receiver }: Place): Promise<void> => {
  execFileSync('nsenter', [`--net=${receiver}`, 'nft', '-f', '-'], {
    input: RULES,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  // The frames have no handshake and no checksum of TCP: this much is spared it.
  for (const [name, value] of [['checksum', '0'], ['tcp_loose', '1'], ['tcp_be_liberal', '1']] as const) // biome-ignore format: a table
    await setSysctl(receiver, `net/netfilter/nf_conntrack_${name}`, value);
};

/** A column of /proc/net/dev, where the frames are received. */
const seen = ({ receiver }: Place, device: 'in' | 'out', column: number): number => {
  const text = execFileSync('nsenter', [`--net=${receiver}`, 'cat', '/proc/net/dev'], { encoding: 'utf8' });
  const line = text.split('\n').find((one) => one.trim().startsWith(`${device}:`));
  return Number((line?.split(':')[1] ?? '').trim().split(/\s+/)[column]);
};

/** Frames that came, and of them those that the stack has sent on, or that came back. */
const received = (place: Place): number => seen(place, 'in', 1);
const passed = (place: Place, lane: Lane): number =>
  lane === 'forward' || lane === 'nft' ? seen(place, 'out', 3) : seen(place, 'in', 9);

const open = async (): Promise<readonly [ours: BpfObject, others: BpfObject]> => {
  const pinDir = await ensureBpffs(`/sys/fs/bpf/weir-live-${process.pid}`);
  mkdirSync(pinDir, { recursive: true });
  try {
    const maxEntries = { conntrack: 1024, events: 1 << 16 };
    const ours = await openObject(objectPath('accelerator'), { pinDir, maxEntries });
    await ours.commitPins();
    const others = await openObject(join(import.meta.dirname, 'build/lanes.bpf.o'), { pinDir, maxEntries });
    return [ours, others];
  } finally {
    rmSync(pinDir, { recursive: true, force: true });
  }
};

export const live = async ({ smoke, long, onStep }: BenchOptions): Promise<Row[]> => {
  const [repeat, rounds] = smoke ? [1_280, 1] : [128_000, long ? 31 : 11];
  const [ours, others] = await open();
  const places = new Map<Lane, Place>();
  const links: Link[] = [];
  const programs: Readonly<Record<Lane, BpfProgram>> = {
    drop: others.program('drop_live'),
    tx: others.program('return_live'),
    ours: ours.program('accelerate_uplink'),
    forward: others.program('pass_live'),
    nft: others.program('pass_live'),
  };
  try {
    for (const lane of LANES) {
      const place = await stand(lane);
      places.set(lane, place);
      links.push(await attachXdp(programs[lane], place.far.ifindex, 'native', { netns: place.receiver }));
      links.push(await attachXdp(others.program('drop_live'), place.near.ifindex, 'native', { netns: place.sender }));
      if (lane === 'forward' || lane === 'nft') await forward(place);
      if (lane === 'nft') await translate(place);
      const vips = new Vips({ map: (name) => ours.map(name) });
      if (lane === 'ours') await fillVip(vips, { own: place.far.mac, ifindex: place.far.ifindex });
    }
    const time = async (lane: Lane): Promise<number> => {
      const place = places.get(lane) as Place;
      const drive = Buffer.alloc(others.map('lives').valueSize);
      drive.writeUInt32LE(FLOWS, 8);
      drive.writeUInt32LE(place.near.ifindex, 12);
      Buffer.from(parseIp(VIP).subarray(-4)).copy(drive, 16);
      drive.writeUInt16BE(VIP_PORT, 20);
      Buffer.concat([macBytes(place.far.mac), macBytes(place.near.mac)]).copy(drive, 24);
      others.map('lives').update(u32(0), drive);
      const [had, before] = [received(place), passed(place, lane)];
      const began = process.hrtime.bigint();
      const data = Buffer.alloc(FRAME_BYTES);
      await others
        .program('send_live')
        .testRun({ data, repeat, flags: LIVE_FRAMES, batchSize: BATCH, netns: place.sender });
      const tookNs = Number(process.hrtime.bigint() - began);
      const came = received(place) - had;
      if (came < repeat * (1 - MOST_LOST)) throw weirError('INTERNAL', `${came} of ${repeat} frames came to ${lane}`);
      const on = passed(place, lane) - before;
      if (lane !== 'drop' && on < came * (1 - MOST_LOST))
        throw weirError('INTERNAL', `of ${came} frames ${on} went on from ${lane}`);
      return tookNs / came;
    };
    const times = new Map<Lane, number[]>(LANES.map((lane) => [lane, []]));
    onStep('lb-live: every flow once');
    for (const lane of LANES) await time(lane);
    onStep('lb-live');
    for (let round = 0; round < rounds; round++)
      for (const lane of round % 2 ? [...LANES].reverse() : LANES) times.get(lane)?.push(await time(lane));
    const over = (lane: Lane): number => {
      const drops = times.get('drop') ?? [];
      return median((times.get(lane) ?? []).map((ns, i) => ns - (drops[i] ?? 0)));
    };
    const own = over('ours');
    const named = { drop: 'XDP_DROP', tx: 'XDP_TX', ours: 'ours', forward: 'ip_forward', nft: 'nft DNAT' } as const;
    return LANES.map((lane): Row => {
      if (lane === 'drop')
        return { metric: `${named.drop}, whole`, value: median(times.get('drop') ?? []), unit: 'ns' };
      const value = over(lane);
      const ratio = value / own;
      const goal = lane === 'nft' ? atLeast(ratio, 8) : {};
      return { metric: `${named[lane]} over XDP_DROP`, value, unit: 'ns', ratio, ...goal };
    });
  } finally {
    for (const link of links) await link.detach();
    for (const { sender, receiver } of places.values())
      for (const netns of [sender, receiver]) await deleteNetns(netns);
    ours.close();
    others.close();
  }
};
