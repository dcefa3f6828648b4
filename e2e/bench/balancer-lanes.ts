// SPDX-License-Identifier: Apache-2.0
/**
 * The real program of an uplink, and beside it lanes that find the backend in another way or not at all
 * (bpf/lanes.bpf.c), all with the same maps: one service with 100 backends among others. A frame is made anew before each
 * run by a program that goes on to the lane, so what that costs is in every lane and in the floor that is taken off.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { objectPath } from '@weir/bpf/objects';
import { Vips } from '@weir/bpf/testing/vips';
import { weirError } from '@weir/errors';
import { type BpfObject, type BpfProgram, ensureBpffs, openObject } from '@weir/loader';
import { buildTable } from '@weir/maglev';
import { parseIp } from '@weir/net';

export const LANES = ['floor', 'ours', 'stateless', 'lru'] as const;
export type Lane = (typeof LANES)[number];
export type Begins = 'established' | 'syn';

const BACKENDS = 100;
const SIZE = 32_749;
const SERVICES = 1000;
export const VIP = '198.51.100.1';
export const VIP_PORT = 80;
const FRAME_BYTES = 64;
const TCP = 6;
const FLAG = { established: 16, syn: 2 } as const;
const XDP_TX = 3;
const OWN = '02:00:00:00:00:01';
const WEIR_SERVICE_DSR_IPIP = (1 << 15) | (1 << 18) | (1 << 6);

export interface Round {
  readonly lane: Lane;
  readonly flows: number;
  readonly begins: Begins;
  /** Asks for an address that no service has. */
  readonly isOther?: boolean;
}

export interface Lanes {
  /** Processor time of one frame, with what makes the frame. */
  time(round: Round, repeat: number): Promise<number>;
  close(): void;
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

/** One service with 100 backends among a thousand; their next hops are known, by the interface with that number and MAC. */
export const fillVip = async (vips: Vips, out: { readonly own: string; readonly ifindex?: number }): Promise<void> => {
  vips.settings('203.0.113.64', '2001:db8:f::', '0.0.0.63');
  const backends = Array.from({ length: BACKENDS }, (_, i) => `10.77.${i >> 8}.${(i & 255) + 1}`);
  for (const [i, address] of backends.entries()) {
    vips.backend(i + 1, address);
    vips.way(i + 1, address, out);
  }
  const keys = backends.map((address) => ({ key: `${address}:80/6`, weight: 100 }));
  const table = buildTable({ size: SIZE, seed: Buffer.from('JLfvgnHc2kaSUFaI', 'base64'), backends: keys });
  const slots = Array.from(table, (index): [number, number] => [index + 1, index + 1]);
  await vips.frontend({ number: 1, address: VIP, port: VIP_PORT, protocol: TCP, flags: WEIR_SERVICE_DSR_IPIP }, slots);
  for (let i = 2; i <= SERVICES; i++) {
    const address = `198.51.${100 + (i >> 8)}.${i & 255}`;
    await vips.frontend({ number: i, address, port: VIP_PORT, protocol: TCP, flags: 0 }, []);
  }
};

export const openLanes = async (): Promise<Lanes> => {
  const pinDir = await ensureBpffs(`/sys/fs/bpf/weir-lanes-${process.pid}`);
  mkdirSync(pinDir, { recursive: true });
  const objects: BpfObject[] = [];
  try {
    const maxEntries = { conntrack: 1024, events: 1 << 16 };
    for (const path of [objectPath('accelerator'), join(import.meta.dirname, 'build/lanes.bpf.o')]) {
      const object = await openObject(path, { pinDir, maxEntries });
      await object.commitPins();
      objects.push(object);
    }
  } finally {
    rmSync(pinDir, { recursive: true, force: true });
  }
  const [ours, others] = objects as [BpfObject, BpfObject];
  const vips = new Vips({ map: (name) => ours.map(name) });
  await fillVip(vips, { own: OWN });
  const programs: Readonly<Record<Lane, BpfProgram>> = {
    floor: others.program('floor_lane'),
    ours: ours.program('accelerate_uplink'),
    stateless: others.program('stateless_lane'),
    lru: others.program('lru_lane'),
  };
  const setDrive = ({ flows, begins, isOther }: Round): void => {
    const drive = Buffer.alloc(others.map('drives').valueSize);
    drive.writeUInt32LE(flows, 8);
    drive.writeUInt32LE(FRAME_BYTES, 12);
    drive.writeUInt16BE(VIP_PORT, 16);
    Buffer.from(parseIp(isOther ? '192.0.2.77' : VIP).subarray(-4)).copy(drive, 20);
    drive.writeUInt32LE(FLAG[begins], 24);
    others.map('drives').update(u32(0), drive);
  };
  return {
    time: async (round, repeat) => {
      setDrive(round);
      others.map('lanes').updateProgram(u32(0), programs[round.lane]);
      const { retval, cpuNs } = await others.program('drive').testRun({ data: Buffer.alloc(FRAME_BYTES), repeat });
      if (retval !== (round.isOther && round.lane !== 'floor' ? 2 : XDP_TX))
        throw weirError('INTERNAL', `lane ${round.lane} returned ${retval}`);
      return cpuNs / repeat;
    },
    close: () => {
      for (const object of objects) object.close();
    },
  };
};
