// SPDX-License-Identifier: Apache-2.0
/**
 * With which hosts this one speaks encrypted, from the network document and the hosts' own. No I/O; time is given.
 *
 * The hosts of a fleet hear of it at different moments, so a way is used when it is known to work:
 *
 *   a key is told     the peer is added, and asked until it answers; what goes to it goes as before
 *   it has answered   what goes to it goes encrypted, and from then on never as before while its host has a key
 *   it takes no part  what goes to it goes in the clear; what still comes encrypted is taken for a while
 *
 * In strict mode nothing waits: what a peer that has not answered should get stays in its queue, or is lost.
 */
import { cidrOfAddress, isIp, parseCidr, parseIp } from '@weir/net';
import { type Host, type Network, Underlay, type Wireguard } from '@weir/proto/weir/bus/v1/config_pb.js';
import { labelTexts } from './label-selectors.ts';
import { underlayEnds } from './overlay.ts';

export const DEFAULT_WIREGUARD_PORT = 51_871;
/** Longer than a document takes to reach every host that is up. */
const TAKEN_STILL_MS = 3_000;
/** How soon an answer is looked for: often at first, then as WireGuard itself asks again. */
const LOOK_MS = 250;
const LOOK_SELDOM_MS = 5_000;
const EAGER_MS = 15_000;
/** IP, UDP and WireGuard's own header and tag. */
const OVERHEAD = { 4: 60, 6: 80 } as const;
const KEY = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/** What only the host knows. */
export interface EncryptionFacts {
  /** There is a device with a key. */
  readonly isUp: boolean;
  /** Public keys of peers that have answered, ever. */
  readonly answered: ReadonlySet<string>;
}

export const NO_FACTS: EncryptionFacts = { isUp: false, answered: new Set() };

export interface EncryptionPeer {
  readonly hostId: string;
  readonly endpoint: { readonly ip: string; readonly port: number };
  /** What it may send, and what goes to it: its own addresses and its pools; canonical CIDRs. */
  readonly allowed: readonly string[];
  /** It has not answered yet: somebody must ask. */
  readonly isAsked: boolean;
}

/** A destination through the device, and which of this host's addresses its own packets have. */
export interface EncryptedRoute {
  readonly dst: string;
  readonly src: string;
}

export type PeerState = 'encrypted' | 'not-answered' | 'no-key' | 'opted-out' | 'no-address';

export interface EncryptionPlan {
  /** Undefined: no device. */
  readonly device: { readonly port: number } | undefined;
  /** By public key. */
  readonly peers: ReadonlyMap<string, EncryptionPeer>;
  /** To hosts themselves, for whom `sources` speak. */
  readonly hosts: readonly EncryptedRoute[];
  /** To pools, by the id of their host: of those that are not reached by tunnel (then the tunnel's packets are encrypted). */
  readonly pools: ReadonlyMap<string, readonly EncryptedRoute[]>;
  /** Sources that other hosts take from this one: its own address, and its pools. */
  readonly sources: { readonly own: readonly string[]; readonly pools: readonly string[] };
  /** Hosts to which everything goes encrypted. */
  readonly encrypted: ReadonlySet<string>;
  /** What a packet grows by. */
  readonly overheadBytes: number;
  /** When this answer may change by itself, ms from now; undefined: it does not. */
  readonly changesInMs: number | undefined;
  readonly states: readonly { readonly host: string; readonly state: PeerState }[];
}

export const NO_ENCRYPTION: EncryptionPlan = {
  device: undefined,
  peers: new Map(),
  hosts: [],
  pools: new Map(),
  sources: { own: [], pools: [] },
  encrypted: new Set(),
  overheadBytes: 0,
  changesInMs: undefined,
  states: [],
};

export interface EncryptionInput {
  readonly network: Network | undefined;
  readonly hosts: Iterable<Host>;
  readonly ownHost: string;
  readonly facts: EncryptionFacts;
  readonly nowMs: number;
}

const takesNoPart = ({ labels }: Host, { optOutLabels }: Wireguard): boolean => {
  const own = labelTexts(labels);
  return optOutLabels.some((label) => own.includes(label));
};

/** Encryption is wanted of this host; undefined: it is not. */
export const encryptionOf = (network: Network | undefined, own: Host | undefined): Wireguard | undefined => {
  const wireguard = network?.wireguard;
  return wireguard?.enabled && own && !takesNoPart(own, wireguard) ? wireguard : undefined;
};

export const isStrict = ({ strictCidrs, strictIngress }: Wireguard): boolean => strictCidrs.length > 0 || strictIngress;

const addressesOf = ({ underlayIp4, underlayIp6 }: Host): string[] => [underlayIp4, underlayIp6].filter(isIp);
const wholeAddress = (address: string): string => cidrOfAddress(parseIp(address)).text;
const poolsOf = ({ pools }: Host): string[] =>
  pools.flatMap((pool) => {
    try {
      return [parseCidr(pool).text];
    } catch {
      return [];
    }
  });
/** Of the same family; undefined: this host has none. */
const sourceFor = (dst: string, own: Host): string | undefined => {
  const address = dst.includes(':') ? own.underlayIp6 : own.underlayIp4;
  return isIp(address) ? address : undefined;
};
const routesTo = (destinations: readonly string[], own: Host): EncryptedRoute[] =>
  destinations.flatMap((dst) => {
    const src = sourceFor(dst, own);
    return src === undefined ? [] : [{ dst, src }];
  });

export class Encryption {
  /** By host: once its packets went encrypted they do not go otherwise. */
  readonly #used = new Set<string>();
  /** When a peer was first asked. */
  readonly #askedMs = new Map<string, number>();
  #before = new Map<string, EncryptionPeer>();
  /** Peers that are no longer wanted, until when they are still heard. */
  #leaving = new Map<string, { readonly peer: EncryptionPeer; readonly untilMs: number }>();
  #device: { readonly port: number } | undefined;

  plan({ network, hosts, ownHost, facts, nowMs }: EncryptionInput): EncryptionPlan {
    const all = [...hosts].sort((a, b) => (a.id < b.id ? -1 : 1));
    const own = all.find(({ id }) => id === ownHost);
    const wireguard = encryptionOf(network, own);
    if (!own || !wireguard) return this.#ending(all, nowMs);
    const port = wireguard.port || DEFAULT_WIREGUARD_PORT;
    const peers = new Map<string, EncryptionPeer>();
    const states: { host: string; state: PeerState }[] = [];
    const reached: Host[] = [];
    const claimed = new Set<string>();
    let widest: 4 | 6 = network?.underlay === Underlay.IPV6 ? 6 : 4;
    let changesInMs: number | undefined;
    for (const host of all) {
      if (host.id === ownHost) continue;
      const ends = underlayEnds(own, host, network?.underlay ?? Underlay.UNSPECIFIED);
      const state = takesNoPart(host, wireguard)
        ? 'opted-out'
        : !KEY.test(host.wireguardKey)
          ? 'no-key'
          : ends
            ? undefined
            : 'no-address';
      if (state || !ends) {
        states.push({ host: host.id, state: state ?? 'no-address' });
        this.#used.delete(host.id);
        continue;
      }
      if (ends.family === 6) widest = 6;
      const isAnswering = facts.answered.has(host.wireguardKey);
      if (!isAnswering) {
        const sinceMs = this.#askedMs.get(host.wireguardKey) ?? nowMs;
        this.#askedMs.set(host.wireguardKey, sinceMs);
        const lookMs = nowMs - sinceMs < EAGER_MS ? LOOK_MS : LOOK_SELDOM_MS;
        changesInMs = Math.min(changesInMs ?? lookMs, lookMs);
      }
      if (isAnswering && facts.isUp) this.#used.add(host.id);
      // Of two hosts that say they have a pool the first has it, as with routes.
      const pools = poolsOf(host).filter((pool) => !claimed.has(pool));
      for (const pool of pools) claimed.add(pool);
      peers.set(host.wireguardKey, {
        hostId: host.id,
        endpoint: { ip: ends.remote, port },
        allowed: [...addressesOf(host).map(wholeAddress), ...pools].sort(),
        isAsked: !isAnswering,
      });
      if (this.#used.has(host.id) || isStrict(wireguard)) reached.push(host);
      states.push({ host: host.id, state: this.#used.has(host.id) ? 'encrypted' : 'not-answered' });
    }
    for (const key of this.#askedMs.keys()) if (!peers.get(key)?.isAsked) this.#askedMs.delete(key);
    const known = new Set(all.map(({ id }) => id));
    for (const id of this.#used) if (!known.has(id)) this.#used.delete(id);
    const leavingInMs = this.#letGo(peers, known, nowMs);
    if (leavingInMs !== undefined) changesInMs = Math.min(changesInMs ?? leavingInMs, leavingInMs);
    this.#device = { port };
    return {
      device: this.#device,
      peers,
      hosts: reached.flatMap((host) => routesTo(addressesOf(host).map(wholeAddress), own)),
      pools: new Map(
        reached.map((host) => [
          host.id,
          routesTo(
            poolsOf(host).filter((pool) => claimed.has(pool)),
            own,
          ),
        ]),
      ),
      sources: { own: addressesOf(own), pools: poolsOf(own) },
      encrypted: facts.isUp ? new Set(reached.map(({ id }) => id)) : new Set(),
      overheadBytes: OVERHEAD[widest],
      changesInMs,
      states,
    };
  }

  /** Nothing is sent encrypted any more; what others still send so is taken until all have heard. */
  #ending(all: readonly Host[], nowMs: number): EncryptionPlan {
    this.#used.clear();
    this.#askedMs.clear();
    const peers = new Map<string, EncryptionPeer>();
    const changesInMs = this.#letGo(peers, new Set(all.map(({ id }) => id)), nowMs);
    if (peers.size === 0) this.#device = undefined;
    return { ...NO_ENCRYPTION, device: this.#device, peers, changesInMs };
  }

  /** Adds to `peers` those of before that are still to be heard. Says when the next of them goes. */
  #letGo(peers: Map<string, EncryptionPeer>, known: ReadonlySet<string>, nowMs: number): number | undefined {
    for (const [key, peer] of this.#before) {
      if (!peers.has(key) && !this.#leaving.has(key))
        this.#leaving.set(key, { peer: { ...peer, isAsked: false }, untilMs: nowMs + TAKEN_STILL_MS });
    }
    this.#before = new Map(peers);
    const present = new Set([...peers.values()].map(({ hostId }) => hostId));
    let nextInMs: number | undefined;
    for (const [key, { peer, untilMs }] of this.#leaving) {
      // Its host is gone, or speaks with another key: nothing may come under this one.
      if (peers.has(key) || !known.has(peer.hostId) || present.has(peer.hostId) || untilMs <= nowMs) {
        this.#leaving.delete(key);
        continue;
      }
      peers.set(key, peer);
      nextInMs = Math.min(nextInMs ?? Number.POSITIVE_INFINITY, untilMs - nowMs);
    }
    return nextInMs;
  }
}

/** Those that routes lead to, and not into the tunnel: there its packets are encrypted. */
export const directPools = (
  { pools }: EncryptionPlan,
  tunnelled: ReadonlySet<string>,
  routes: { has(dst: string): boolean },
): EncryptedRoute[] =>
  [...pools].flatMap(([host, all]) => (tunnelled.has(host) ? [] : all.filter(({ dst }) => routes.has(dst))));

/** Empty when all is well. */
export const wireguardIssues = ({ wireguard }: Network): string[] =>
  wireguard && wireguard.port > 0xffff ? [`wireguard.port ${wireguard.port} is no UDP port; give 1 to 65535`] : [];
