// SPDX-License-Identifier: Apache-2.0
/** The oracle's tiers: lists in order before and behind the Normal one, read from the JSON of the documents. */
import {
  askNormal,
  ciliumL4,
  ciliumPeer,
  inCidr,
  isJudged,
  isSubject,
  modeOf,
  namedHolds,
  type OracleAnswer,
  type OracleFlow,
  type OraclePeer,
  selectorHolds,
  tierOf,
} from './oracle.ts';

// biome-ignore lint/suspicious/noExplicitAny: documents as users write them
type Json = any;
type Direction = 'ingress' | 'egress';

const inNamespaces = (selector: Json, peer: OraclePeer): boolean =>
  peer.labels !== undefined && selectorHolds(selector, peer.nsLabels ?? {}, false);

const isPod = (pods: Json, peer: OraclePeer): boolean =>
  inNamespaces(pods.namespaceSelector, peer) && selectorHolds(pods.podSelector, peer.labels ?? {}, false);

const clusterPeer = (one: Json, peer: OraclePeer): boolean => {
  if (one.networks) return one.networks.some((cidr: string) => inCidr(peer.ip, cidr));
  return one.pods ? isPod(one.pods, peer) : inNamespaces(one.namespaces, peer);
};

const clusterL4 = (rule: Json, flow: OracleFlow, named: OraclePeer['named']): boolean => {
  if (!rule.protocols?.length) return true;
  return rule.protocols.some((one: Json) => {
    if (one.destinationNamedPort) return namedHolds(named, one.destinationNamedPort, flow);
    const [name, { destinationPort: port }] = Object.entries(one)[0] as [string, Json];
    if (name.toUpperCase() !== flow.protocol) return false;
    if (!port) return true;
    if (port.number !== undefined) return port.number === flow.port;
    return flow.port >= port.range.start && flow.port <= port.range.end;
  });
};

const ruleHolds = (
  policy: Json,
  rule: Json,
  direction: Direction,
  subject: OraclePeer,
  peer: OraclePeer,
  flow: OracleFlow,
): boolean => {
  const way = direction === 'ingress' ? 'from' : 'to';
  const named = direction === 'ingress' ? subject.named : peer.named;
  if (policy.kind === 'FirewallPolicy') {
    return ciliumPeer(rule, way, peer, policy.metadata.namespace) && ciliumL4(rule, flow, named);
  }
  const matched = rule[way].filter((one: Json) => clusterPeer(one, peer));
  const byAddress = direction === 'egress' && matched.every((one: Json) => one.networks);
  return matched.length > 0 && clusterL4(rule, flow, byAddress ? undefined : named);
};

const isSubjectHere = (policy: Json, subject: OraclePeer): boolean => {
  const { spec } = policy;
  if (policy.kind === 'FirewallPolicy') return isSubject(policy, subject);
  return spec.subject.pods ? isPod(spec.subject.pods, subject) : inNamespaces(spec.subject.namespaces, subject);
};

const PRIORITY = 500;
const priorityOf = ({ spec }: Json): number => spec.priority ?? PRIORITY;
const keyOf = ({ kind, metadata }: Json): string => `${kind}/${metadata.namespace ?? '-'}/${metadata.name}`;

/** The first rule in order that fits. */
const askTier = (
  tier: string,
  policies: readonly Json[],
  direction: Direction,
  subject: OraclePeer,
  peer: OraclePeer,
  flow: OracleFlow,
): { action: string; rule: string } | undefined => {
  const inOrder = [...policies.entries()]
    .filter(([, policy]) => tierOf(policy) === tier && isJudged(policy) && isSubjectHere(policy, subject))
    .sort(([, a], [, b]) => priorityOf(a) - priorityOf(b) || (keyOf(a) < keyOf(b) ? -1 : 1));
  for (const [at, policy] of inOrder) {
    for (const [index, rule] of (policy.spec[direction] ?? []).entries()) {
      if (modeOf(policy) === 'audit' && rule.action === 'Deny') continue;
      if (!ruleHolds(policy, rule, direction, subject, peer, flow)) continue;
      return { action: rule.action, rule: `${at} spec.${direction}[${index}]` };
    }
  }
  return undefined;
};

const prefixesOf = (one: Json, groups: readonly Json[]): Json[] => {
  if (one.cidr !== undefined) return [one];
  const meant = groups.filter(({ metadata }) =>
    one.cidrGroupRef === undefined
      ? selectorHolds(one.cidrGroupSelector, metadata.labels ?? {}, false)
      : metadata.name === one.cidrGroupRef,
  );
  return meant.flatMap(({ spec }) => spec.externalCIDRs.map((cidr: string) => ({ cidr })));
};

/** The documents with prefixes in place of groups. */
const expanded = (policies: readonly Json[]): Json[] => {
  const groups = policies.filter(({ kind }) => kind === 'CiliumCIDRGroup');
  const expand = (value: Json): Json => {
    if (Array.isArray(value)) return value.map(expand);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, part]: [string, Json]) => [
        key,
        /^(from|to)CIDRSet$/.test(key) ? part.flatMap((one: Json) => prefixesOf(one, groups)) : expand(part),
      ]),
    );
  };
  return policies.map((policy) => (policy.kind === 'CiliumCIDRGroup' ? policy : expand(policy)));
};

export const askOracle = (
  written: readonly Json[],
  direction: Direction,
  subject: OraclePeer,
  peer: OraclePeer,
  flow: OracleFlow,
): OracleAnswer => {
  const policies = expanded(written);
  const decided = (tier: string, enforced: boolean): OracleAnswer | undefined => {
    const found = askTier(tier, policies, direction, subject, peer, flow);
    if (!found || found.action === 'Pass') return undefined;
    return found.action === 'Deny'
      ? { verdict: 'deny', enforced, denies: [found.rule], allows: [] }
      : { verdict: 'allow', enforced, denies: [], allows: [found.rule] };
  };
  const normal = askNormal(policies, direction, subject, peer, flow);
  const { denies, allows, enforced } = normal;
  const admin = decided('Admin', enforced);
  if (admin) return admin;
  if (denies.length > 0) return { verdict: 'deny', ...normal };
  if (allows.length > 0) return { verdict: 'allow', ...normal };
  if (enforced) return { verdict: 'deny', ...normal };
  return decided('Baseline', enforced) ?? { verdict: 'allow', ...normal };
};
