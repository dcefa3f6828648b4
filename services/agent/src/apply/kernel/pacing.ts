// SPDX-License-Identifier: Apache-2.0
/**
 * Egress limits by pacing: fq on every uplink keeps packets until the time that the programs gave them, and on the device
 * that encrypts, since what comes out of it has no time any more. While a workload has such a limit the agent puts fq in
 * the place of what the kernel made by itself (of mq: below it, for each queue). What somebody configured stays as it is:
 * fq serves as well, with anything else the programs drop by a token bucket instead.
 *
 * The programs give times only after the last fq is there (map `pacing`), and stop before the first one goes; one in which
 * packets wait goes later.
 */
import { isWeirError } from '@weir/errors';
import { type BpfObject, type Netlink, openNetlink, type Qdisc, ROOT_QDISC } from '@weir/loader';
import { WIREGUARD_NAME } from '../../plan/names.ts';
import type { LimiterState, Pacing } from '../ports.ts';
import { findUplinks, type WhereUplinksAre } from './uplink-interfaces.ts';

/** By which our own are known: nobody is given this one. */
const HANDLE = 0x5745_0000;
const majorOf = (handle: number): number => handle >>> 16;
/** The horizon bounds what waits, long before this: half a second of 1 Gbit/s are 42,000 packets. */
const FQ = { limit: 131_072, flowLimit: 131_072 } as const;

interface Uplink {
  readonly ifname: string;
  readonly ifindex: number;
  readonly qdiscs: readonly Qdisc[];
}

type Root = { readonly state: 'ours' | 'default' | 'serves' } | { readonly state: 'foreign'; readonly why: string };

const rootOf = ({ qdiscs }: Uplink): Qdisc | undefined => qdiscs.find(({ parent }) => parent === ROOT_QDISC);
const childrenOf = ({ qdiscs }: Uplink, { handle }: Qdisc): Qdisc[] =>
  qdiscs.filter(({ parent }) => parent !== ROOT_QDISC && majorOf(parent) === majorOf(handle));

const judge = (uplink: Uplink): Root => {
  const root = rootOf(uplink);
  if (!root || root.handle === 0) return { state: 'default' };
  if (root.kind === 'fq') return { state: root.handle === HANDLE ? 'ours' : 'serves' };
  const foreign = (what: string): Root => ({
    state: 'foreign',
    why: `${what} of ${uplink.ifname} was configured by somebody`,
  });
  if (root.kind !== 'mq') return foreign(`the qdisc ${root.kind}`);
  const children = childrenOf(uplink, root);
  if (root.handle !== HANDLE && children.length > 0 && children.every(({ kind }) => kind === 'fq'))
    return { state: 'serves' };
  const other = children.find(({ kind, handle }) => kind !== 'fq' && handle !== 0);
  if (root.handle !== HANDLE || other) return foreign(`the qdisc ${other?.kind ?? 'mq'}`);
  return { state: children.every(({ kind }) => kind === 'fq') ? 'ours' : 'default' };
};

const reasonOf = (error: unknown, ifname: string): string => {
  const name = isWeirError(error) ? error.facts.details?.errnoName : undefined;
  if (name === 'ENOENT') return 'this kernel has no sch_fq';
  if (name === 'EEXIST') return `a qdisc of ${ifname} is being configured by somebody`;
  return `fq could not be set up on ${ifname}: ${(error as Error).message}`;
};

const readUplinks = async (netlink: Netlink, where: WhereUplinksAre): Promise<Uplink[]> => {
  const found: { readonly ifname: string; readonly ifindex: number }[] = await findUplinks(
    { interfaces: [], prefer: [] },
    where,
  );
  const encrypting = await netlink.linkByName(WIREGUARD_NAME);
  if (found.length > 0 && encrypting) found.push({ ifname: WIREGUARD_NAME, ifindex: encrypting.ifindex });
  const all = await netlink.qdiscs();
  return found.map(({ ifname, ifindex }) => ({
    ...{ ifname, ifindex },
    qdiscs: all.filter((qdisc) => qdisc.ifindex === ifindex),
  }));
};

/** fq below mq where the interface has several queues: each has its own lock then. */
const setUp = async (netlink: Netlink, uplink: Uplink): Promise<void> => {
  const { ifindex } = uplink;
  const root = rootOf(uplink);
  if (root?.kind !== 'mq') return netlink.addFq({ ifindex, handle: HANDLE, parent: ROOT_QDISC }, FQ);
  if (root.handle !== HANDLE) await netlink.addMq({ ifindex, handle: HANDLE, parent: ROOT_QDISC });
  const now = { ...uplink, qdiscs: (await netlink.qdiscs()).filter((qdisc) => qdisc.ifindex === ifindex) };
  for (const { kind, parent } of childrenOf(now, { ...root, handle: HANDLE }))
    if (kind !== 'fq') await netlink.addFq({ ifindex, handle: 0, parent }, FQ);
};

/** True when none is left. */
const removeOurs = async (netlink: Netlink): Promise<boolean> => {
  let isClean = true;
  for (const { ifindex, handle, parent, waiting } of await netlink.qdiscs()) {
    if (parent !== ROOT_QDISC || handle !== HANDLE) continue;
    if (waiting === 0) await netlink.delQdisc({ ifindex, handle, parent });
    else isClean = false;
  }
  return isClean;
};

const NOBODY: LimiterState = { kind: '', reason: '' };

export const kernelPacing = (object: BpfObject, where: WhereUplinksAre): Pacing => {
  let state = NOBODY;
  /** Not before it was looked: an earlier agent may have left one. */
  let isClean = false;
  let paced = new Set<string>();

  const turn = (on: boolean): void => object.map('pacing').update(Buffer.alloc(4), Buffer.of(on ? 1 : 0, 0, 0, 0));

  /** Returns why not, or undefined and every uplink has fq. */
  const paceAll = async (netlink: Netlink, uplinks: readonly Uplink[]): Promise<string | undefined> => {
    if (uplinks.length === 0) return 'no interface is known as the uplink: there is no default route';
    const roots = uplinks.map((uplink) => ({ uplink, root: judge(uplink) }));
    for (const { root } of roots) if (root.state === 'foreign') return root.why;
    for (const { uplink, root } of roots) {
      if (root.state !== 'default') continue;
      isClean = false;
      try {
        await setUp(netlink, uplink);
      } catch (error) {
        return reasonOf(error, uplink.ifname);
      }
    }
    return undefined;
  };

  const stop = async (netlink: Netlink): Promise<void> => {
    turn(false);
    paced = new Set();
    isClean = await removeOurs(netlink);
  };

  /** Returns uplinks that had fq before and had it no more. */
  const sync = async (wanted: boolean): Promise<string[]> => {
    if (!wanted && isClean) {
      state = NOBODY;
      return [];
    }
    const netlink = openNetlink(where.hostNetns);
    try {
      if (!wanted) {
        await stop(netlink);
        state = NOBODY;
        return [];
      }
      const uplinks = await readUplinks(netlink, where);
      const lost = uplinks.filter((one) => paced.has(one.ifname) && judge(one).state === 'default');
      const why = await paceAll(netlink, uplinks);
      if (why !== undefined) {
        await stop(netlink);
        state = { kind: 'token-bucket', reason: why };
        return [];
      }
      paced = new Set(uplinks.map(({ ifname }) => ifname));
      turn(true);
      state = { kind: 'edt', reason: `fq on ${[...paced].join(', ')}` };
      return lost.map(({ ifname }) => ifname);
    } finally {
      netlink.close();
    }
  };

  let wantedNow = false;
  const guarded = async (wanted: boolean): Promise<string[]> => {
    wantedNow = wanted;
    try {
      return await sync(wanted);
    } catch (error) {
      // Limits hold all the same.
      turn(false);
      state = wanted ? { kind: 'token-bucket', reason: (error as Error).message } : NOBODY;
      return [];
    }
  };
  return {
    sync: async (wanted) => {
      await guarded(wanted);
    },
    inspect: async () => (await guarded(wantedNow)).map((ifname) => `the qdisc fq of ${ifname} was removed`),
    get state() {
      return state;
    },
  };
};

/** What an agent left on uplinks, whatever waits in it. */
export const removePacing = async (hostNetns?: string): Promise<void> => {
  const netlink = openNetlink(hostNetns);
  try {
    for (const { ifindex, handle, parent } of await netlink.qdiscs())
      if (parent === ROOT_QDISC && handle === HANDLE) await netlink.delQdisc({ ifindex, handle, parent });
  } finally {
    netlink.close();
  }
};
