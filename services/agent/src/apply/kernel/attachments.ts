// SPDX-License-Identifier: Apache-2.0
/**
 * The two programs on each host side and on each uplink, lasting without an agent, replaced in place, never detached to be changed.
 *
 * A tcx link, pinned under <bpffs>/links, is what is wanted: nobody removes it by accident. But making one waits for
 * RCU twice (some 20 ms for both sides, under the lock of all network configuration), too long when hundreds of
 * workloads come at once. Then, in a hurry, a new interface first gets clsact filters (under 2 ms), which guard it as
 * well, and its links later, when there is time (`settle`).
 *
 * The filters stay behind the links. Where both are, the link answers and the filter is never asked, so it costs no
 * packet anything; but whoever detaches a link leaves no hole until somebody notices. Kernels without tcx (before 6.6)
 * have the filters alone.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  attachClsact,
  attachTcx,
  type BpfProgram,
  type ClsactFilter,
  clsactFilter,
  Link,
  type TcAttachment,
  type TcDirection,
} from '@weir/loader';
import type { Attachments } from '../ports.ts';

type Sides = readonly { readonly direction: TcDirection; readonly program: string }[];

const WORKLOAD_SIDES: Sides = [
  { direction: 'ingress', program: 'from_workload' },
  { direction: 'egress', program: 'to_workload' },
];

export const UPLINK_SIDES: Sides = [
  { direction: 'ingress', program: 'from_uplink' },
  { direction: 'egress', program: 'to_uplink' },
];

interface Side {
  readonly direction: TcDirection;
  readonly program: BpfProgram;
  readonly pin: string;
}

const linkProblem = async (
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

const filterProblem = async (
  filter: ClsactFilter | undefined,
  { direction, program }: Side,
): Promise<string | undefined> => {
  const progId = filter && (await filter.info()).progId;
  if (progId === program.id) return undefined;
  return progId === undefined
    ? `the filter on ${direction} was removed`
    : `another program (id ${progId}) is the filter on ${direction}`;
};

export interface AttachmentOptions {
  readonly linksDir: string;
  /** This kernel has tcx. */
  readonly tcx: boolean;
  readonly hostNetns?: string;
  /** Those of workloads unless told. */
  readonly sides?: Sides;
  /** The interface is not ours: no filter beside a link, and none in the place that others take first. */
  readonly foreign?: boolean;
  /** Among filters, instead of the usual one. */
  readonly place?: { readonly handle: number; readonly priority: number };
  /** Before the programs that are there. */
  readonly first?: boolean;
}

/** On interfaces that are not ours. */
export const FOREIGN_PLACE = { handle: 87, priority: 87 } as const;

/** Where programs are asked for by name. What it answers may change: see `renew`. */
export interface Programs {
  program(name: string): BpfProgram;
}

export interface KernelAttachments extends Attachments {
  /** Puts the programs that there are now in the place of those that stand on the interfaces. */
  renew(): Promise<void>;
  /** Lets go of what is held; what is pinned stays attached, until somebody removes the pin. */
  close(): void;
}

export const kernelAttachments = (object: Programs, options: AttachmentOptions): KernelAttachments => {
  const { linksDir, tcx, sides = WORKLOAD_SIDES, foreign = false } = options;
  const where = {
    ...(options.hostNetns ? { netns: options.hostNetns } : {}),
    ...(options.place ?? (foreign ? FOREIGN_PLACE : {})),
  };
  const order = options.first ? { first: true } : {};
  const linksAlone = foreign && tcx;
  const makeDir = (): string | undefined => mkdirSync(linksDir, { recursive: true, mode: 0o700 });
  makeDir();
  const held = new Map<string, TcAttachment>();
  /** Behind the links, by the links' pins. */
  const filters = new Map<string, ClsactFilter>();
  /** Interfaces that have filters and should have links. */
  const unsettled = new Map<string, number>();
  const attached = new Map<string, number>();
  const sidesOf = (ifname: string): Side[] =>
    sides.map(({ direction, program }) => ({
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

  const attachSide = async (side: Side, ifname: string, ifindex: number, hurry: boolean): Promise<void> => {
    const { pin, program, direction } = side;
    const filter = linksAlone ? undefined : await attachClsact(program, ifindex, direction, where);
    if (filter) filters.set(pin, filter);
    if (await pinAgain(side, ifindex)) return;
    if (!filter || (tcx && (!hurry || existsSync(pin)))) {
      makeDir();
      hold(pin, await attachTcx(program, ifindex, direction, { pinPath: pin, ...where, ...order }));
      return;
    }
    hold(pin, filter);
    if (tcx) unsettled.set(ifname, ifindex);
  };

  const settleSide = async ({ pin, program, direction }: Side, ifindex: number): Promise<void> => {
    if (held.get(pin) instanceof Link) return;
    makeDir();
    hold(pin, await attachTcx(program, ifindex, direction, { pinPath: pin, ...where, ...order }));
  };

  return {
    attach: async (ifname, ifindex, hurry = false) => {
      for (const side of sidesOf(ifname)) await attachSide(side, ifname, ifindex, hurry);
      attached.set(ifname, ifindex);
    },
    renew: async () => {
      for (const [ifname, ifindex] of attached) {
        try {
          for (const side of sidesOf(ifname)) await attachSide(side, ifname, ifindex, unsettled.has(ifname));
        } catch {
          // It went, or `check` finds what stands there and says so.
        }
      }
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
    guarded: async (ifname, ifindex) => {
      const found = await Promise.all(
        sidesOf(ifname).map(async ({ direction }) => (await clsactFilter(ifindex, direction, where).info()).progId),
      );
      return found.every((progId) => progId !== undefined);
    },
    check: async (ifname, ifindex) => {
      const problems = await Promise.all(
        sidesOf(ifname).flatMap((side) => {
          const attachment = held.get(side.pin);
          const alone = attachment === filters.get(side.pin);
          return [
            linkProblem(attachment, side, ifindex),
            ...(alone || linksAlone ? [] : [filterProblem(filters.get(side.pin), side)]),
          ];
        }),
      );
      return problems.filter((problem) => problem !== undefined);
    },
    release: async (ifname) => {
      unsettled.delete(ifname);
      attached.delete(ifname);
      for (const { pin } of sidesOf(ifname)) {
        held.get(pin)?.close();
        held.delete(pin);
        filters.delete(pin);
        await rm(pin, { force: true });
      }
    },
    detach: async (ifname, ifindex) => {
      attached.delete(ifname);
      for (const { pin, direction } of sidesOf(ifname)) {
        const attachment = held.get(pin);
        held.delete(pin);
        filters.delete(pin);
        if (attachment instanceof Link) attachment.detach();
        await rm(pin, { force: true });
        const filter = clsactFilter(ifindex, direction, where);
        if (!linksAlone && (await filter.info()).progId !== undefined) await filter.detach();
      }
    },
    known: async () => {
      const pins = await readdir(linksDir).catch(() => []);
      return [...new Set(pins.map((pin) => pin.replace(/-(ingress|egress)$/, '')))];
    },
    close: () => {
      for (const attachment of held.values()) attachment.close();
      held.clear();
    },
  };
};
