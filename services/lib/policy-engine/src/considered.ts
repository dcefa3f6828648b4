// SPDX-License-Identifier: Apache-2.0
/**
 * The rules that a question comes near to: those that fit it, and those that fit but for the peer or but for the port. A verdict names one
 * rule; whoever asks why wants to see the one that he wrote, and what in it did not fit.
 */
import type { NamedPort, PolicyInput } from './compile/input.ts';
import { createPeerResolver } from './compile/peers.ts';
import type { World } from './compile/world.ts';
import { type Direction, type PolicySpec, type Rule, TIERS, type Tier } from './model.ts';
import { isSubject } from './subject.ts';

export interface Considered {
  readonly policy: string;
  readonly tier: Tier;
  readonly rule: Rule;
  /** whole: it fits. port: the peer is another. peer: the port or protocol is another. */
  readonly fits: 'whole' | 'peer' | 'port';
}

export interface ConsideredQuestion {
  readonly direction: Direction;
  readonly subjectLabels: readonly string[];
  readonly subjectPorts: readonly NamedPort[];
  readonly peerIdentities: readonly number[];
  readonly peerPorts: readonly NamedPort[];
  readonly protocol: number;
  readonly port: number;
}

const fitsPort = ({ l4 }: Rule, named: readonly NamedPort[], protocol: number, port: number): boolean =>
  l4 === 'any' ||
  l4.some((one) => {
    if (one.protocol !== protocol) return false;
    if (one.kind === 'range') return port >= one.first && port <= one.last;
    return named.some((own) => own.name === one.name && own.protocol === protocol && own.port === port);
  });

/** In the order in which they would be asked: tiers, then lists as they are ordered; of the Normal tier denies first. */
const inOrder = (a: Considered & { spec: PolicySpec }, b: Considered & { spec: PolicySpec }): number =>
  TIERS.indexOf(a.tier) - TIERS.indexOf(b.tier) ||
  a.spec.priority - b.spec.priority ||
  (a.tier === 'Normal' ? Number(b.rule.action === 'deny') - Number(a.rule.action === 'deny') : 0) ||
  (a.policy < b.policy ? -1 : a.policy > b.policy ? 1 : 0);

/** `world` must know the policies' prefixes and everybody's labels. */
export const considered = (
  world: World,
  policies: readonly PolicyInput[],
  question: ConsideredQuestion,
): readonly Considered[] => {
  const { direction, subjectLabels, subjectPorts, peerIdentities, peerPorts, protocol, port } = question;
  const peersOf = createPeerResolver(world);
  const named = direction === 'ingress' ? subjectPorts : peerPorts;
  return policies
    .flatMap(({ doc }) =>
      doc.specs
        .filter((spec) => isSubject(spec, subjectLabels))
        .flatMap((spec) =>
          spec.rules.flatMap((rule) => {
            if (rule.direction !== direction) return [];
            const peers = peersOf(rule);
            const byPeer = peerIdentities.some((identity) => peers.has(identity));
            const byPort = fitsPort(rule, named, protocol, port);
            if (!byPeer && !byPort) return [];
            const fits = byPeer && byPort ? 'whole' : byPeer ? 'peer' : 'port';
            return [{ policy: doc.key, tier: spec.tier, rule, fits, spec } as const];
          }),
        ),
    )
    .sort(inOrder)
    .map(({ spec: _, ...one }) => one);
};
