// SPDX-License-Identifier: Apache-2.0
/**
 * Groups of prefixes (CiliumCIDRGroup, and what the fleet knows: hosts, services) and the rules that name them. A group is a document of its own that changes on its own, so rules
 * keep its name, and whoever compiles puts the prefixes in their place first; compiler, explain and lint then know no groups. A group
 * that is not there, or a selector that finds none, is nobody.
 */
import { type Cidr, cidrOfAddress, parseIp } from '@weir/net';
import type { CidrGroup, Peer, PolicyDocument, Rule } from './model.ts';
import { matches } from './selector.ts';

type GroupPeer = Extract<Peer, { kind: 'group' }>;

const isMeant = ({ of, group, selector, namespace }: GroupPeer, candidate: CidrGroup): boolean => {
  if (of !== candidate.of) return false;
  if (!selector) return candidate.name === group;
  const isInside = namespace === undefined || candidate.name.startsWith(`${namespace}/`);
  return isInside && matches(selector, candidate.labels);
};

const peersOf = (peer: Peer, groups: readonly CidrGroup[]): readonly Peer[] => {
  if (peer.kind !== 'group') return [peer];
  const { path } = peer;
  const cidrs = groups.filter((group) => isMeant(peer, group)).flatMap((group) => group.cidrs);
  // Hosts and backends are managed: they are found by their address whatever else they are.
  return cidrs.map((cidr): Peer => ({ kind: 'cidr', path, cidr, except: [], ipBlock: peer.of !== undefined }));
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

const directory = new WeakMap<PolicyDocument, boolean>();

/** Does the document name hosts or services? */
export const refersToDirectory = (doc: PolicyDocument): boolean => {
  let known = directory.get(doc);
  if (known === undefined) {
    known = doc.specs.some(({ rules }) =>
      rules.some(
        ({ peers }) => peers !== 'any' && peers.some((peer) => peer.kind === 'group' && peer.of !== undefined),
      ),
    );
    directory.set(doc, known);
  }
  return known;
};

const labelsOf = (labels: Readonly<Record<string, string>>): string[] =>
  Object.entries(labels).map(([key, value]) => `k8s:${key}=${value}`);

const prefixesOf = (addresses: readonly string[]): Cidr[] =>
  [...new Set(addresses)].filter((address) => address !== '').map((address) => cidrOfAddress(parseIp(address)));

/** Hosts and services as the bus tells them (weir.bus.v1.Host, LoadBalancerService). */
export type DirectoryBody =
  | {
      readonly case: 'host';
      readonly value: {
        readonly id: string;
        readonly labels: Readonly<Record<string, string>>;
        readonly underlayIp4: string;
        readonly underlayIp6: string;
      };
    }
  | {
      readonly case: 'service';
      readonly value: {
        readonly namespace: string;
        readonly name: string;
        readonly labels: Readonly<Record<string, string>>;
        readonly backends: readonly { readonly address: string }[];
      };
    };

/** A host, for fromNodes and toNodes; a service, for toServices. */
export const directoryGroup = ({ case: kind, value }: DirectoryBody): CidrGroup => {
  const labels = labelsOf(value.labels);
  return kind === 'host'
    ? { of: 'node', name: value.id, labels, cidrs: prefixesOf([value.underlayIp4, value.underlayIp6]) }
    : {
        ...{ of: 'service', name: `${value.namespace}/${value.name}`, labels },
        cidrs: prefixesOf(value.backends.map(({ address }) => address)),
      };
};

/** The document with prefixes in place of groups; the same when it names none. */
export const resolveGroups = (doc: PolicyDocument, groups: readonly CidrGroup[]): PolicyDocument => {
  if (!refersToGroups(doc)) return doc;
  const resolved = (rule: Rule): Rule =>
    rule.peers === 'any' ? rule : { ...rule, peers: rule.peers.flatMap((peer) => peersOf(peer, groups)) };
  return { ...doc, specs: doc.specs.map((spec) => ({ ...spec, rules: spec.rules.map(resolved) })) };
};

export const groupsIn = (docs: readonly PolicyDocument[]): CidrGroup[] => docs.flatMap(({ group }) => group ?? []);

/** Policies with the groups among them, and `more` (hosts and services), put in place. */
export const withGroups = <T extends { readonly doc: PolicyDocument }>(
  policies: readonly T[],
  more: readonly CidrGroup[] = [],
): readonly T[] => {
  const groups = [...groupsIn(policies.map(({ doc }) => doc)), ...more];
  return policies.map((policy) => {
    const doc = resolveGroups(policy.doc, groups);
    return doc === policy.doc ? policy : { ...policy, doc };
  });
};
