// SPDX-License-Identifier: Apache-2.0
/**
 * The compiled policies in the real maps, answered by the real programs. Between two pods every cell is asked twice: as if
 * they were on two hosts (what one sends, then what the other receives) and as if on one (both ends in one pass, handed
 * over). A host whose own policy is asked is the host of the maps meanwhile. Ways that disagree are no answer. A packet that is
 * dropped for anything but policy ends the run: it proves nothing. What would be is taken from what the programs report.
 */
import { weirError } from '@weir/errors';
import { refusal } from '../admission.ts';
import type { Cell, Mode, Session, Verdict, World } from '../mode.ts';
import { createView, type View } from '../view.ts';
import { addressOf, apply, createState, isAsked, isHost, type State } from '../world.ts';
import { createFrames, type Link } from './frames.ts';
import { HOST_ENDPOINT, type Kernel, type KernelPod, openKernel, type Way } from './kernel.ts';
import { inView, Told } from './told.ts';

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

interface Answer {
  readonly returned: number;
  /** By the end with that number; undefined: it reported nothing. */
  told(end: number): ReturnType<Told['of']>;
}

type Asks = (cell: Cell) => { readonly pod: KernelPod; readonly way: Way } | undefined;

/** What each end said, true where nobody had to be asked. */
interface Ends {
  egress: boolean;
  ingress: boolean;
}

class Tables {
  readonly #kernel: Kernel;
  readonly #state: State;
  readonly #frame = createFrames();
  readonly #pods = new Map<string, KernelPod>();
  readonly #hosts = new Map<string, KernelPod>();
  readonly #disagreed: Map<string, string>;
  #view: View;
  isWritten = false;

  constructor(kernel: Kernel, state: State, disagreed: Map<string, string>) {
    this.#kernel = kernel;
    this.#state = state;
    this.#disagreed = disagreed;
    this.#view = createView(state);
  }

  async write(): Promise<void> {
    this.#view = createView(this.#state);
    this.#pods.clear();
    this.#hosts.clear();
    const managed = this.#hostsAsSeenBy(undefined);
    for (const [key, { ip4, ip6 }] of this.#state.pods) {
      const identity = this.#view.identityOf(key);
      const addresses = { ...(ip4 ? { ip4 } : {}), ...(ip6 ? { ip6 } : {}) };
      const index = this.#pods.size;
      const made = this.#end(key, { ifindex: FIRST_IFINDEX + index, identity, ...addresses, ...macs(index) });
      if (!made) throw weirError('INTERNAL', `the pod ${key} has no policy`);
      this.#pods.set(key, made);
      for (const ip of [ip4, ip6]) if (ip) managed.set(ip, identity);
    }
    for (const name of this.#state.externals.keys()) {
      const made = isHost(this.#state, name) ? this.#end(name, HOST_ENDPOINT) : undefined;
      if (made) this.#hosts.set(name, made);
    }
    await this.#kernel.write([...this.#pods.values()], managed, this.#view.cidrs);
    this.isWritten = true;
  }

  async ask(cells: readonly Cell[]): Promise<(Verdict | undefined)[]> {
    const verdicts: (Verdict | undefined)[] = [];
    if (!this.isWritten) await this.write();
    for (let at = 0; at < cells.length; at += CHUNK) {
      verdicts.push(...(await this.#askChunk(cells.slice(at, at + CHUNK))));
    }
    return verdicts;
  }

  #end(name: string, facts: Omit<KernelPod, 'compiled' | 'views'>): KernelPod | undefined {
    const compiled = this.#view.compiled(name);
    if (!compiled) return undefined;
    const views = this.#view.views.flatMap((view) => {
      const made = this.#view.compiled(name, view);
      return made ? [{ view, ...made }] : [];
    });
    if ([compiled, ...views].some(({ overflow }) => overflow))
      throw weirError('TOO_LARGE', `the policy of ${name} has more entries than fit`);
    return { ...facts, compiled, views };
  }

  /** Addresses of what is no pod and yet something to policy. */
  #hostsAsSeenBy(host: string | undefined): Map<string, number> {
    const managed = new Map<string, number>();
    for (const { name, entity, ip4, ip6 } of this.#state.externals.values()) {
      if (entity && ip4) managed.set(ip4, this.#view.peer(name, 4, host).identity);
      if (entity && ip6) managed.set(ip6, this.#view.peer(name, 6, host).identity);
    }
    return managed;
  }

  #link({ from, to, family }: Cell, pod: KernelPod, sends: boolean): Link {
    return {
      sourceMac: sends ? pod.mac : pod.hostMac,
      destinationMac: sends ? pod.hostMac : pod.mac,
      sourceIp: addressOf(this.#state, from, family) ?? '',
      destinationIp: addressOf(this.#state, to, family) ?? '',
    };
  }

  /** Runs those cells that `which` wants asked, and hands each answer on. */
  async #run(cells: readonly Cell[], which: Asks, take: (index: number, answer: Answer) => void): Promise<void> {
    type Sent = { readonly index: number; readonly link: Link; readonly frame: Buffer; readonly number: number };
    const groups = new Map<string, { pod: KernelPod; way: Way; sent: Sent[] }>();
    const isViewed = cells.some(({ view }) => view !== undefined);
    for (const [index, cell] of cells.entries()) {
      const asked = which(cell);
      if (!asked) continue;
      const key = `${asked.pod.ifindex} ${asked.way}`;
      const group = groups.get(key) ?? { ...asked, sent: [] };
      groups.set(key, group);
      const link = this.#link(cell, asked.pod, asked.way.startsWith('sends'));
      group.sent.push({ index, link, ...this.#frame(cell, link) });
    }
    if (isViewed) await this.#kernel.flows();
    for (const { pod, way, sent } of groups.values()) {
      const frames = sent.map(({ frame }) => frame);
      const returned = await this.#kernel.run(pod, way, frames);
      const told = new Told(isViewed ? await this.#kernel.flows() : []);
      for (const [at, { index, link, number }] of sent.entries()) {
        const ends = [link.sourceIp, link.destinationIp] as const;
        take(index, {
          returned: returned[at] ?? ACTION.drop,
          told: (end) => told.of(end, cells[index] as Cell, ends, number),
        });
      }
    }
    const other = await this.#kernel.otherDrops();
    if (other.length > 0) throw weirError('INTERNAL', `packets were dropped for other reasons: ${other.join(', ')}`);
  }

  async #askChunk(cells: readonly Cell[]): Promise<(Verdict | undefined)[]> {
    const apart: Ends[] = cells.map(() => ({ egress: true, ingress: true }));
    const others: [way: string, answer: boolean][][] = cells.map(() => []);
    /** What the end says of the cell, in its view. */
    const saidBy = (index: number, end: KernelPod, passes: number, answer: Answer): boolean => {
      const { view } = cells[index] as Cell;
      if (view === undefined) return answer.returned === passes;
      const flow = answer.told(end.ifindex);
      if (!flow) throw weirError('INTERNAL', `nothing was reported of ${JSON.stringify(cells[index])}`);
      return inView(view, flow);
    };
    /** Both ends in one pass; undefined when the second was not asked. */
    const saidByBoth = (index: number, ends: readonly KernelPod[], passes: number, answer: Answer) => {
      const { view } = cells[index] as Cell;
      if (view === undefined) return answer.returned === passes;
      const flows = ends.flatMap(({ ifindex }) => answer.told(ifindex) ?? []);
      return flows.length === ends.length ? flows.every((flow) => inView(view, flow)) : undefined;
    };
    const sender = (cell: Cell): KernelPod | undefined =>
      cell.from === cell.to ? undefined : this.#pods.get(cell.from);
    const receiver = (cell: Cell): KernelPod | undefined =>
      cell.from === cell.to ? undefined : this.#pods.get(cell.to);
    const both = (index: number, way: string, passes: number, answer: Answer, ...ends: KernelPod[]): void => {
      const said = saidByBoth(index, ends, passes, answer);
      if (said !== undefined) others[index]?.push([way, said]);
    };

    await this.#kernel.forgetConnections();
    await this.#kernel.together(false);
    const sends: Asks = (cell) => {
      const pod = sender(cell);
      return pod && { pod, way: 'sends' };
    };
    await this.#run(cells, sends, (index, answer) => {
      const pod = sender(cells[index] as Cell) as KernelPod;
      (apart[index] as Ends).egress = saidBy(index, pod, ACTION.pass, answer);
    });
    const receives: Asks = (cell) => {
      const pod = receiver(cell);
      const host = this.#state.externals.get(cell.from)?.entity === 'host';
      return pod && { pod, way: host ? 'receives from the host' : 'receives' };
    };
    await this.#run(cells, receives, (index, answer) => {
      const pod = receiver(cells[index] as Cell) as KernelPod;
      (apart[index] as Ends).ingress = saidBy(index, pod, ACTION.pass, answer);
    });

    for (const [name, host] of this.#hosts) {
      await this.#kernel.forgetConnections();
      await this.#kernel.stand(host, this.#hostsAsSeenBy(name));
      const enters: Asks = (cell) =>
        cell.to === name && isAsked(this.#state, name, cell.from, 'ingress')
          ? { pod: host, way: 'enters the host' }
          : undefined;
      await this.#run(cells, enters, (index, answer) => {
        (apart[index] as Ends).ingress = saidBy(index, host, ACTION.pass, answer);
      });
      const leaves: Asks = (cell) =>
        cell.from === name && isAsked(this.#state, name, cell.to, 'egress')
          ? { pod: host, way: 'leaves the host' }
          : undefined;
      await this.#run(cells, leaves, (index, answer) => {
        (apart[index] as Ends).egress = saidBy(index, host, ACTION.pass, answer);
      });
      if (this.#state.externals.get(name)?.entity !== 'host') continue;
      await this.#kernel.forgetConnections();
      const fromOwn: Asks = (cell) => {
        const pod = cell.to === name ? sender(cell) : undefined;
        return pod && { pod, way: 'sends to the host' };
      };
      await this.#run(cells, fromOwn, (index, answer) => {
        both(index, 'from a pod to its host', ACTION.pass, answer, sender(cells[index] as Cell) as KernelPod, host);
      });
    }
    if (this.#hosts.size > 0) await this.#kernel.stand(undefined, this.#hostsAsSeenBy(undefined));

    await this.#kernel.forgetConnections();
    await this.#kernel.together(true);
    const handsOver: Asks = (cell) => (receiver(cell) ? sends(cell) : undefined);
    await this.#run(cells, handsOver, (index, answer) => {
      const cell = cells[index] as Cell;
      both(index, 'on one host', ACTION.redirect, answer, sender(cell) as KernelPod, receiver(cell) as KernelPod);
    });

    return cells.map((cell, index): Verdict | undefined => {
      const { egress, ingress } = apart[index] as Ends;
      const allowed = egress && ingress;
      const different = others[index]?.find(([, answer]) => answer !== allowed);
      if (!different) return allowed ? 'allow' : 'drop';
      const text = `between hosts: egress ${egress}, ingress ${ingress}; ${different[0]}: ${different[1]}`;
      this.#disagreed.set(JSON.stringify(cell), text);
      return undefined;
    });
  }
}

type Kernels = Readonly<Record<'silent' | 'telling', () => Promise<Kernel>>>;

const openSession = (kernels: Kernels, world: World): Session => {
  const state = createState(world);
  const disagreed = new Map<string, string>();
  const tables = new Map<keyof Kernels, Tables>();
  const tablesOf = async (which: keyof Kernels): Promise<Tables> => {
    const known = tables.get(which) ?? new Tables(await kernels[which](), state, disagreed);
    tables.set(which, known);
    return known;
  };
  return {
    act: async (actions) => {
      for (const action of actions) {
        const problem = apply(state, action);
        if (problem) throw weirError('CONFLICT', problem, { field: action.do });
      }
      if (actions.length > 0) for (const one of tables.values()) one.isWritten = false;
    },
    refused: async (policy) => refusal(policy),
    ask: async (cells) => {
      const verdicts: (Verdict | undefined)[] = [];
      const asked = Map.groupBy([...cells.entries()], ([, { view }]) => (view === undefined ? 'silent' : 'telling'));
      for (const [which, some] of asked) {
        const answers = await (await tablesOf(which)).ask(some.map(([, cell]) => cell));
        for (const [at, [index]] of some.entries()) verdicts[index] = answers[at];
      }
      return verdicts;
    },
    explain: (cell) => disagreed.get(JSON.stringify(cell)) ?? '',
    close: async () => {},
  };
};

/** Needs root. */
export const createMapsMode = async (): Promise<Mode> => {
  const silent = await openKernel();
  let telling: Promise<Kernel> | undefined;
  const kernels: Kernels = {
    silent: async () => silent,
    // Reporting costs, and few ask for what would be.
    telling: () => {
      telling ??= openKernel({ telling: true });
      return telling;
    },
  };
  return {
    name: 'maps',
    skips: ({ protocol, port }) =>
      protocol === 'ICMPv6' && LINK_TYPES.includes(port) ? 'neighbour discovery is not asked of policy' : undefined,
    open: async (world) => openSession(kernels, world),
    close: async () => {
      silent.close();
      (await telling)?.close();
    },
  };
};
