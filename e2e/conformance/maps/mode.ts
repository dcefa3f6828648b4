// SPDX-License-Identifier: Apache-2.0
/**
 * The compiled policies in the real maps, answered by the real programs. Between two pods every cell is asked twice: as if
 * they were on two hosts (what one sends, then what the other receives) and as if on one (both ends in one pass, handed
 * over). Ways that disagree are no answer. A packet that is dropped for anything but policy ends the run: it proves nothing.
 */
import { weirError } from '@weir/errors';
import { refusal } from '../admission.ts';
import type { Cell, Mode, Session, Verdict, World } from '../mode.ts';
import { createView } from '../view.ts';
import { addressOf, apply, createState } from '../world.ts';
import { createFrames, type Link } from './frames.ts';
import { type Kernel, type KernelPod, openKernel } from './kernel.ts';

/** Cells between two forgettings of connections. */
const CHUNK = 8192;
const FIRST_IFINDEX = 1000;
const ACTION = { pass: 0, drop: 2, redirect: 7 } as const;

/** Neighbour and listener discovery: the link's, which policy is never asked about (RFC 4861, 2710, 3810). */
const LINK_TYPES: readonly number[] = [130, 131, 132, 133, 134, 135, 136, 137, 143];

const macs = (index: number): { mac: string; hostMac: string } => {
  const tail = `${(index >> 8).toString(16).padStart(2, '0')}:${(index & 0xff).toString(16).padStart(2, '0')}`;
  return { mac: `02:00:00:00:${tail}`, hostMac: `02:00:00:ff:${tail}` };
};

type Way = 'sends' | 'receives' | 'receives from the host';

/** Answers of one way of asking: [egress, ingress], true where nobody had to be asked. */
interface Ends {
  egress: boolean;
  ingress: boolean;
}

const openSession = async (kernel: Kernel, world: World): Promise<Session> => {
  const state = createState(world);
  const frame = createFrames();
  const pods = new Map<string, KernelPod>();
  const disagreed = new Map<string, string>();

  const write = async (): Promise<void> => {
    const view = createView(state);
    pods.clear();
    const managed = new Map<string, number>();
    for (const [key, { ip4, ip6 }] of state.pods) {
      const index = pods.size;
      const compiled = view.compiled(key);
      if (!compiled) throw weirError('INTERNAL', `the pod ${key} has no policy`);
      if (compiled.overflow) throw weirError('TOO_LARGE', `the policy of ${key} has more entries than fit`);
      const identity = view.identityOf(key);
      const addresses = { ...(ip4 ? { ip4 } : {}), ...(ip6 ? { ip6 } : {}) };
      pods.set(key, { ifindex: FIRST_IFINDEX + index, identity, ...addresses, ...macs(index), compiled });
      for (const ip of [ip4, ip6]) if (ip) managed.set(ip, identity);
    }
    for (const { name, entity, ip4, ip6 } of state.externals.values()) {
      if (!entity) continue;
      for (const [family, ip] of [
        [4, ip4],
        [6, ip6],
      ] as const) {
        if (ip) managed.set(ip, view.peer(name, family).identity);
      }
    }
    await kernel.write([...pods.values()], managed, view.cidrs);
  };

  const link = (cell: Cell, pod: KernelPod, sends: boolean): Link => ({
    sourceMac: sends ? pod.mac : pod.hostMac,
    destinationMac: sends ? pod.hostMac : pod.mac,
    sourceIp: addressOf(state, cell.from, cell.family) ?? '',
    destinationIp: addressOf(state, cell.to, cell.family) ?? '',
  });

  /** Runs those cells, the pod of each as `podOf` says, and hands each answer on. */
  const runAll = async (
    cells: readonly Cell[],
    which: (cell: Cell) => { readonly pod: KernelPod; readonly way: Way } | undefined,
    take: (index: number, returned: number) => void,
  ): Promise<void> => {
    const groups = new Map<string, { pod: KernelPod; way: Way; indexes: number[]; frames: Buffer[] }>();
    for (const [index, cell] of cells.entries()) {
      const asked = which(cell);
      if (!asked) continue;
      const key = `${asked.pod.ifindex} ${asked.way}`;
      let group = groups.get(key);
      if (!group) {
        group = { ...asked, indexes: [], frames: [] };
        groups.set(key, group);
      }
      group.indexes.push(index);
      group.frames.push(frame(cell, link(cell, asked.pod, asked.way === 'sends')));
    }
    for (const { pod, way, indexes, frames } of groups.values()) {
      const returned = await kernel.run(pod, way, frames);
      for (const [at, index] of indexes.entries()) take(index, returned[at] ?? ACTION.drop);
    }
    const other = await kernel.otherDrops();
    if (other.length > 0) throw weirError('INTERNAL', `packets were dropped for other reasons: ${other.join(', ')}`);
  };

  const askChunk = async (cells: readonly Cell[]): Promise<(Verdict | undefined)[]> => {
    const apart: Ends[] = cells.map(() => ({ egress: true, ingress: true }));
    const together: (boolean | undefined)[] = cells.map(() => undefined);
    const sender = (cell: Cell) => {
      const pod = cell.from === cell.to ? undefined : pods.get(cell.from);
      return pod && { pod, way: 'sends' as const };
    };
    await kernel.forgetConnections();
    await kernel.together(false);
    await runAll(cells, sender, (index, returned) => {
      (apart[index] as Ends).egress = returned === ACTION.pass;
    });
    await runAll(
      cells,
      (cell) => {
        const pod = cell.from === cell.to ? undefined : pods.get(cell.to);
        const host = state.externals.get(cell.from)?.entity === 'host';
        return pod && { pod, way: host ? ('receives from the host' as const) : ('receives' as const) };
      },
      (index, returned) => {
        (apart[index] as Ends).ingress = returned === ACTION.pass;
      },
    );
    await kernel.forgetConnections();
    await kernel.together(true);
    await runAll(
      cells,
      (cell) => (pods.has(cell.to) ? sender(cell) : undefined),
      (index, returned) => {
        together[index] = returned === ACTION.redirect;
      },
    );
    return cells.map((cell, index): Verdict | undefined => {
      const { egress, ingress } = apart[index] as Ends;
      const local = together[index];
      if (local === undefined || local === (egress && ingress)) return egress && ingress ? 'allow' : 'drop';
      const text = `between hosts: egress ${egress}, ingress ${ingress}; on one host: ${local}`;
      disagreed.set(JSON.stringify(cell), text);
      return undefined;
    });
  };

  let written = false;
  return {
    act: async (actions) => {
      for (const action of actions) {
        const problem = apply(state, action);
        if (problem) throw weirError('CONFLICT', problem, { field: action.do });
      }
      if (actions.length > 0) written = false;
    },
    refused: async (policy) => refusal(policy),
    ask: async (cells) => {
      const verdicts: (Verdict | undefined)[] = [];
      if (!written) await write();
      written = true;
      for (let at = 0; at < cells.length; at += CHUNK) {
        verdicts.push(...(await askChunk(cells.slice(at, at + CHUNK))));
      }
      return verdicts;
    },
    explain: (cell) => disagreed.get(JSON.stringify(cell)) ?? '',
    close: async () => {},
  };
};

/** Needs root. */
export const createMapsMode = async (): Promise<Mode> => {
  const kernel = await openKernel();
  return {
    name: 'maps',
    skips: ({ protocol, port }) =>
      protocol === 'ICMPv6' && LINK_TYPES.includes(port) ? 'neighbour discovery is not asked of policy' : undefined,
    open: (world) => openSession(kernel, world),
    close: async () => kernel.close(),
  };
};
