// SPDX-License-Identifier: Apache-2.0
/**
 * The two programs on each host side, by links pinned under <bpffs>/links, so that they go on without an agent. A
 * program is replaced in place; nothing is ever detached to be changed.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { attachTc, type BpfObject, type BpfProgram, Link, type TcAttachment, type TcDirection } from '@weir/loader';
import type { Attachments } from '../ports.ts';

const SIDES = [
  { direction: 'ingress', program: 'from_workload' },
  { direction: 'egress', program: 'to_workload' },
] as const satisfies readonly { direction: TcDirection; program: string }[];

interface Side {
  readonly direction: TcDirection;
  readonly program: BpfProgram;
  readonly pin: string;
}

const problemOf = async (
  attachment: TcAttachment | undefined,
  { direction, program, pin }: Side,
  ifindex: number,
): Promise<string | undefined> => {
  if (!attachment) return `no program is known on ${direction}`;
  const info = await attachment.info();
  if (attachment instanceof Link && info.ifindex !== ifindex) return `the program on ${direction} was detached`;
  if (info.progId === undefined) return `the program on ${direction} was removed`;
  if (info.progId !== program.id) return `another program (id ${info.progId}) stands on ${direction}`;
  if (attachment instanceof Link && !existsSync(pin)) return `the pin ${pin} was removed`;
  return undefined;
};

export const kernelAttachments = (object: BpfObject, linksDir: string, hostNetns?: string): Attachments => {
  mkdirSync(linksDir, { recursive: true, mode: 0o700 });
  const held = new Map<string, TcAttachment>();
  const sidesOf = (ifname: string): Side[] =>
    SIDES.map(({ direction, program }) => ({
      direction,
      program: object.program(program),
      pin: join(linksDir, `${ifname}-${direction}`),
    }));

  const attachSide = async (side: Side, ifindex: number): Promise<void> => {
    const { pin, program, direction } = side;
    const known = held.get(pin);
    if (known instanceof Link && !existsSync(pin)) {
      // Only its pin went: attaching again would put a second link beside it.
      if (known.info().ifindex === ifindex) {
        mkdirSync(linksDir, { recursive: true, mode: 0o700 });
        known.pin(pin);
        await known.update(program);
        return;
      }
    }
    known?.close();
    held.delete(pin);
    held.set(
      pin,
      await attachTc(program, ifindex, direction, { pinPath: pin, ...(hostNetns ? { netns: hostNetns } : {}) }),
    );
  };

  return {
    attach: async (ifname, ifindex) => {
      for (const side of sidesOf(ifname)) await attachSide(side, ifindex);
    },
    check: async (ifname, ifindex) => {
      const problems = await Promise.all(sidesOf(ifname).map((side) => problemOf(held.get(side.pin), side, ifindex)));
      return problems.filter((problem) => problem !== undefined);
    },
    release: async (ifname) => {
      for (const { pin } of sidesOf(ifname)) {
        held.get(pin)?.close();
        held.delete(pin);
        await rm(pin, { force: true });
      }
    },
    known: async () => {
      const pins = await readdir(linksDir).catch(() => []);
      return [...new Set(pins.map((pin) => pin.replace(/-(ingress|egress)$/, '')))];
    },
  };
};
