// SPDX-License-Identifier: Apache-2.0
/**
 * Groups of prefixes (CiliumCIDRGroup) and the rules that name them. A group is a document of its own that changes on its own, so rules
 * keep its name, and whoever compiles puts the prefixes in their place first; compiler, explain and lint then know no groups. A group
 * that is not there, or a selector that finds none, is nobody.
 */
import type { CidrGroup, Peer, PolicyDocument, Rule } from './model.ts';
import { matches } from './selector.ts';

type GroupPeer = Extract<Peer, { kind: 'group' }>;

const isMeant = ({ group, selector }: GroupPeer, { name, labels }: CidrGroup): boolean =>
  selector ? matches(selector, labels) : name === group;

const peersOf = (peer: Peer, groups: readonly CidrGroup[]): readonly Peer[] => {
  if (peer.kind !== 'group') return [peer];
  const { path } = peer;
  const cidrs = groups.filter((group) => isMeant(peer, group)).flatMap((group) => group.cidrs);
  return cidrs.map((cidr): Peer => ({ kind: 'cidr', path, cidr, except: [], ipBlock: false }));
};

const namesGroup = ({ peers }: Rule): boolean => peers !== 'any' && peers.some(({ kind }) => kind === 'group');

const refers = new WeakMap<PolicyDocument, boolean>();

/** Does the document name groups at all? */
export const refersToGroups = (doc: PolicyDocument): boolean => {
  let known = refers.get(doc);
  if (known === undefined) {
    known = doc.specs.some(({ rules }) => rules.some(namesGroup));
    refers.set(doc, known);
  }
  return known;
};

/** The document with prefixes in place of groups; the same when it names none. */
export const resolveGroups = (doc: PolicyDocument, groups: readonly CidrGroup[]): PolicyDocument => {
  if (!refersToGroups(doc)) return doc;
  const resolved = (rule: Rule): Rule =>
    rule.peers === 'any' ? rule : { ...rule, peers: rule.peers.flatMap((peer) => peersOf(peer, groups)) };
  return { ...doc, specs: doc.specs.map((spec) => ({ ...spec, rules: spec.rules.map(resolved) })) };
};

export const groupsIn = (docs: readonly PolicyDocument[]): CidrGroup[] => docs.flatMap(({ group }) => group ?? []);

/** Policies with the groups among them put in place. */
export const withGroups = <T extends { readonly doc: PolicyDocument }>(policies: readonly T[]): readonly T[] => {
  const groups = groupsIn(policies.map(({ doc }) => doc));
  return policies.map((policy) => {
    const doc = resolveGroups(policy.doc, groups);
    return doc === policy.doc ? policy : { ...policy, doc };
  });
};
