// SPDX-License-Identifier: Apache-2.0
/**
 * The table format: a case is a name, what is in the maps, and steps; a step is a packet in, the verdict, the drop
 * reason, the packet out and the flow events that must come of it.
 */
import assert from 'node:assert/strict';
import { DROP_TEXT } from '../../gen/index.ts';
import type { ExpectedFlow, FlowReader } from './flows.ts';
import { type EthernetOptions, ethernet, type Packet } from './packet.ts';
import { CLOSED, DB, OPEN, type ProgramName, type Rule, UPLINK, WEB, type Workload, type World } from './world.ts';

export const ACTION = { next: 0xffff_ffff, pass: 0, drop: 2, redirect: 7 } as const;

export interface Step {
  readonly program: ProgramName;
  readonly frame: Buffer;
  readonly cameBy: number;
  /** Of the skb; 0 unless told. */
  readonly mark?: number;
  readonly gso?: { readonly segments: number; readonly size: number };
  readonly action: number;
  readonly reason?: number;
  /** All flow events of this step, in order; not compared when left out. */
  readonly flows?: readonly ExpectedFlow[];
  readonly out?: Buffer;
  /** Makes the same what differs from run to run, before it is compared with `out`. */
  readonly settle?: (packet: Buffer) => Buffer;
  /** Whether it got a later time to leave at; not looked at when left out. */
  readonly waits?: boolean;
  /** Done before the packet. */
  readonly before?: (world: World) => Promise<void> | void;
}

export interface Case {
  readonly name: string;
  /** Policy of the workload under test; without it everything passes. */
  readonly policy?: readonly Rule[];
  readonly flags?: number;
  /** Policy of the second workload of the host. */
  readonly dbPolicy?: readonly Rule[];
  readonly setup?: (world: World) => Promise<void> | void;
  readonly steps: readonly Step[];
}

type Extra = Partial<Pick<Step, 'flows' | 'out' | 'settle' | 'before' | 'gso' | 'mark' | 'waits'>>;

/** One packet waiting for its verdict. */
class Moving {
  readonly #step: Omit<Step, 'action'>;

  constructor(step: Omit<Step, 'action'>) {
    this.#step = step;
  }

  passes(extra: Extra = {}): Step {
    return { ...this.#step, ...extra, action: ACTION.pass };
  }

  /** Left to whatever comes next. */
  goesOn(extra: Extra = {}): Step {
    return { ...this.#step, ...extra, action: ACTION.next };
  }

  /** Dropped for a reason, which its sender is told. */
  refused(reason: number, extra: Extra = {}): Step {
    return { ...this.#step, ...extra, action: ACTION.redirect, reason };
  }

  redirects(extra: Extra = {}): Step {
    return { ...this.#step, ...extra, action: ACTION.redirect };
  }

  drops(reason: number, extra: Extra = {}): Step {
    return { ...this.#step, ...extra, action: ACTION.drop, reason };
  }
}

/** The workload under test sends. */
export const sent = (packet: Packet, link: Partial<EthernetOptions> = {}): Moving =>
  new Moving({
    program: 'from_workload',
    frame: ethernet({ from: WEB.mac, to: WEB.hostMac, ...link }, packet),
    cameBy: WEB.ifindex,
  });

export const sentFrame = (frame: Buffer): Moving =>
  new Moving({ program: 'from_workload', frame, cameBy: WEB.ifindex });

/** The host forwards to the workload under test what came from outside. */
export const received = (packet: Packet, link: Partial<EthernetOptions> & { cameBy?: number } = {}): Moving =>
  new Moving({
    program: 'to_workload',
    frame: ethernet({ from: WEB.hostMac, to: WEB.mac, ...link }, packet),
    cameBy: link.cameBy ?? UPLINK,
  });

/** The host itself sends to the workload under test. */
export const fromHost = (packet: Packet, link: Partial<EthernetOptions> = {}): Moving =>
  received(packet, { ...link, cameBy: 0 });

const ROUTER_MAC = '02:00:00:00:aa:01';
const UPLINK_MAC = '02:00:00:00:aa:02';

const onUplink = (program: ProgramName, packet: Packet, cameBy: number, vlans: readonly number[] = []) => ({
  program,
  frame: ethernet({ from: ROUTER_MAC, to: UPLINK_MAC, vlans }, packet),
  cameBy,
});

/** Leaves the host by the uplink; `cameBy`: 0 when the host itself sends. */
export const leaves = (packet: Packet, { cameBy = WEB.ifindex, vlans = [] as readonly number[] } = {}): Moving =>
  new Moving(onUplink('to_uplink', packet, cameBy, vlans));

/** Enters the host by the uplink. */
export const enters = (packet: Packet, { vlans = [] as readonly number[] } = {}): Moving =>
  new Moving(onUplink('from_uplink', packet, UPLINK, vlans));

/** What a step on an uplink gives back when the packet becomes this one. */
export const becomes = (packet: Packet): { readonly out: Buffer } => ({
  out: ethernet({ from: ROUTER_MAC, to: UPLINK_MAC }, packet),
});

/** What the tunnel has given out for the host. */
export const outOfTunnel = (packet: Packet): Moving => new Moving(onUplink('from_tunnel', packet, UPLINK));

/** What goes back by the link that it came by: an answer, or an ICMP error that quotes what came. */
export const sentBack = (packet: Packet): { readonly out: Buffer } => ({
  out: ethernet({ from: UPLINK_MAC, to: ROUTER_MAC }, packet),
});

/** The host's stack forwards it to the device that translates; `cameBy`: 0 when the host itself sends. */
export const translated = (packet: Packet, { cameBy = WEB.ifindex, vlans = [] as readonly number[] } = {}): Moving =>
  new Moving(onUplink('to_nat64', packet, cameBy, vlans));

/** What comes out of the host's translation to IPv6, on its way into the device. */
export const becomesInward = (packet: Packet, device: string): { readonly out: Buffer } => ({
  out: ethernet({ from: ROUTER_MAC, to: device }, packet),
});

const describeDrops = (drops: ReadonlyMap<number, number>): string =>
  [...drops].map(([reason, packets]) => `${reason} ${DROP_TEXT[reason]?.text} x${packets}`).join(', ') || 'none';

/**
 * Runs one step after the other; returns the reasons for which packets were dropped. Events are read only where they are
 * compared, and thrown away before: an emulated machine needs longer for a look into the ring than for the packet.
 */
export const runCase = async (world: World, reader: FlowReader, table: Case): Promise<number[]> => {
  await world.reset();
  if (table.steps[0]?.flows) await reader.drain();
  if (table.policy) await world.policy(WEB, table.policy, table.flags ?? CLOSED);
  else if (table.flags !== undefined) world.workload(WEB, table.flags);
  if (table.dbPolicy) await world.policy(DB, table.dbPolicy);
  await table.setup?.(world);
  const reasons: number[] = [];
  let before = await world.drops();
  for (const [at, step] of table.steps.entries()) {
    const where = `step ${at + 1}`;
    if (step.before) {
      await step.before(world);
      before = await world.drops();
    }
    const { action, packet, leavesAtNs } = await world.run(step.program, step.frame, {
      ingressIfindex: step.cameBy,
      gsoSegs: step.gso?.segments,
      gsoSize: step.gso?.size,
      mark: step.mark,
    });
    const after = await world.drops();
    const earlier = before;
    const fresh = new Map([...after].filter(([reason, packets]) => packets !== earlier.get(reason)));
    before = after;
    assert.equal(action, step.action, `${where}: action; dropped for: ${describeDrops(fresh)}`);
    assert.deepEqual([...fresh.keys()], step.reason === undefined ? [] : [step.reason], `${where}: drop reason`);
    const seen = step.settle?.(packet) ?? packet;
    if (step.out) assert.equal(seen.toString('hex'), step.out.toString('hex'), `${where}: packet out`);
    if (step.waits !== undefined) assert.equal(leavesAtNs > 0n, step.waits, `${where}: leaves at ${leavesAtNs}`);
    if (step.flows || table.steps[at + 1]?.flows) {
      const flows = await reader.drain();
      if (step.flows) reader.expect(flows, step.flows, where);
    }
    if (step.reason !== undefined) reasons.push(step.reason);
  }
  return reasons;
};

export const bothOpen = (world: World): void => {
  for (const who of [WEB, DB] as Workload[]) world.workload(who, OPEN);
};
