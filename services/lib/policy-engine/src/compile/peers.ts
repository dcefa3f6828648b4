// SPDX-License-Identifier: Apache-2.0
/** The identities that a rule's peers stand for now. Kept until the world changes, since many rules name the same peers. */
import { ANY_IDENTITY, IDENTITY, ipBlockTwin } from '../constants.ts';
import type { Peer, Rule } from '../model.ts';
import type { PeerSet } from './ledger.ts';
import type { World } from './world.ts';

export interface ResolvedPeers extends PeerSet {
  has(identity: number): boolean;
}

const ANY: ResolvedPeers = { key: 'any', identities: [ANY_IDENTITY], has: () => true };

const peerText = (peer: Peer): string => {
  switch (peer.kind) {
    case 'group':
      return `group ${peer.of} ${peer.namespace} ${peer.group ?? peer.selector?.text}`;
    case 'selector':
      return peer.selector.text;
    case 'entity':
      return `@${peer.entity}`;
    case 'cidr':
      return [peer.ipBlock ? 'block' : 'cidr', peer.cidr.text, ...peer.except.map(({ text }) => text)].join(' ');
  }
};

const keys = new WeakMap<readonly Peer[], string>();
const keyOf = (peers: readonly Peer[]): string => {
  let key = keys.get(peers);
  if (key === undefined) {
    key = JSON.stringify([...new Set(peers.map(peerText))].sort());
    keys.set(peers, key);
  }
  return key;
};

const resolve = (world: World, peers: readonly Peer[]): ReadonlySet<number> => {
  const identities = new Set<number>();
  for (const peer of peers) {
    switch (peer.kind) {
      case 'selector':
        for (const identity of world.select(peer.selector)) identities.add(identity);
        break;
      case 'entity':
        if (peer.entity !== 'all') for (const identity of world.entity(peer.entity)) identities.add(identity);
        break;
      case 'group': // Nobody put its prefixes in its place.
        break;
      case 'cidr':
        for (const identity of world.cidrs().within(peer.cidr, peer.except)) {
          identities.add(identity);
          if (peer.ipBlock) identities.add(ipBlockTwin(identity));
        }
        // A peer outside every known prefix is known by its family only.
        if (peer.cidr.bits === 0 && peer.except.length === 0) {
          identities.add(peer.cidr.family === 4 ? IDENTITY.WORLD_IPV4 : IDENTITY.WORLD_IPV6);
        }
        break;
    }
  }
  if (identities.has(IDENTITY.WORLD_IPV4) && identities.has(IDENTITY.WORLD_IPV6)) identities.add(IDENTITY.WORLD);
  return identities;
};

export const createPeerResolver = (world: World) => {
  let version = -1;
  const known = new Map<string, ResolvedPeers>();
  return ({ peers }: Rule): ResolvedPeers => {
    if (peers === 'any' || peers.some((peer) => peer.kind === 'entity' && peer.entity === 'all')) return ANY;
    if (version !== world.version()) {
      known.clear();
      version = world.version();
    }
    const key = keyOf(peers);
    let resolved = known.get(key);
    if (!resolved) {
      const [first] = peers;
      const identities =
        peers.length === 1 && first?.kind === 'selector' ? world.select(first.selector) : resolve(world, peers);
      let set: ReadonlySet<number> | undefined;
      const has = (identity: number): boolean => {
        set ??= new Set(identities);
        return set.has(identity);
      };
      resolved = { key, identities, has };
      known.set(key, resolved);
    }
    return resolved;
  };
};

export type PeerResolver = ReturnType<typeof createPeerResolver>;
