// SPDX-License-Identifier: Apache-2.0
/**
 * The two programs on each host side, lasting without an agent, replaced in place, never detached to be changed.
 *
 * A tcx link, pinned under <bpffs>/links, is what is wanted: nobody removes it by accident. But making one waits for
 * RCU twice (some 20 ms for both sides, under the lock of all network configuration), too long when hundreds of
 * workloads come at once. Then, in a hurry, a new interface first gets clsact filters (under 2 ms), which guard it as
 * well, and its links later, when there is time (`settle`). Where both are, the link answers and the filter is never asked; then the
 * filter goes. Kernels without tcx (before 6.6) stay with the filters.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  attachClsact,
  attachTcx,
  type BpfObject,
  type BpfProgram,
  clsactFilter,
  Link,
  type TcAttachment,
  type TcDirection,
} from '@weir/loader';
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

export interface AttachmentOptions {
  readonly linksDir: string;
  /** This kernel has tcx. */
  readonly tcx: boolean;
  readonly hostNetns?: string;
}

export const kernelAttachments = (object: BpfObject, options: AttachmentOptions): Attachments => {
  const { linksDir, tcx } = options;
  const where = options.hostNetns ? { netns: options.hostNetns } : {};
  const makeDir = (): string | undefined => mkdirSync(linksDir, { recursive: true, mode: 0o700 });
  makeDir();
  const held = new Map<string, TcAttachment>();
  /** Interfaces that have filters and should have links. */
  const unsettled = new Map<string, number>();
  const sidesOf = (ifname: string): Side[] =>
    SIDES.map(({ direction, program }) => ({
      direction,
      program: object.program(program),
      pin: join(linksDir, `${ifname}-${direction}`),
    }));

  /** Only its pin went: attaching again would put a second link beside it. */
  const pinAgain = async ({ pin, program }: Side, ifindex: number): Promise<boolean> => {
    const known = held.get(pin);
    if (!(known instanceof Link) || existsSync(pin) || known.info().ifindex !== ifindex) return false;
    makeDir();
    known.pin(pin);
    await known.update(program);
    return true;
  };

  const hold = (pin: string, attachment: TcAttachment): void => {
    held.get(pin)?.close();
    held.set(pin, attachment);
  };

  const removeFilter = async (ifindex: number, direction: TcDirection): Promise<void> => {
    const filter = clsactFilter(ifindex, direction, where);
    if ((await filter.info()).progId !== undefined) await filter.detach();
  };

  const attachSide = async (side: Side, ifname: string, ifindex: number, hurry: boolean): Promise<void> => {
    if (await pinAgain(side, ifindex)) return;
    const { pin, program, direction } = side;
    if (tcx && (!hurry || existsSync(pin))) {
      makeDir();
      hold(pin, await attachTcx(program, ifindex, direction, { pinPath: pin, ...where }));
      await removeFilter(ifindex, direction);
      return;
    }
    hold(pin, await attachClsact(program, ifindex, direction, where));
    if (tcx) unsettled.set(ifname, ifindex);
  };

  const settleSide = async ({ pin, program, direction }: Side, ifindex: number): Promise<void> => {
    if (held.get(pin) instanceof Link) return;
    makeDir();
    hold(pin, await attachTcx(program, ifindex, direction, { pinPath: pin, ...where }));
    await removeFilter(ifindex, direction);
  };

  return {
    attach: async (ifname, ifindex, hurry = false) => {
      for (const side of sidesOf(ifname)) await attachSide(side, ifname, ifindex, hurry);
    },
    settle: async () => {
      const [next] = unsettled;
      if (!next) return false;
      const [ifname, ifindex] = next;
      unsettled.delete(ifname);
      try {
        for (const side of sidesOf(ifname)) await settleSide(side, ifindex);
      } catch (error) {
        unsettled.set(ifname, ifindex);
        throw error;
      }
      return unsettled.size > 0;
    },
    get unsettled() {
      return unsettled.size;
    },
    check: async (ifname, ifindex) => {
      const problems = await Promise.all(sidesOf(ifname).map((side) => problemOf(held.get(side.pin), side, ifindex)));
      return problems.filter((problem) => problem !== undefined);
    },
    release: async (ifname) => {
      unsettled.delete(ifname);
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
