// SPDX-License-Identifier: Apache-2.0
/**
 * Least-privilege documents from what was observed: one CiliumNetworkPolicy for all workloads that are named alike, each
 * direction closed but for the peers and ports that were seen. Peers are named by their stable labels, reserved ones as
 * entities, the outside by few prefixes.
 */
import { PROTOCOLS, protocolName } from '@weir/net';
import type { FlowEnd, FlowGroup } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { isOutside } from '../simulation/judges.ts';
import { prefixesOf, rangesOf } from './bounds.ts';
import { type StableLabels, stableLabels } from './labels.ts';

/** One group of flows at one end. */
export interface Observation {
  readonly direction: 'ingress' | 'egress';
  readonly subject: FlowEnd;
  readonly peer: FlowEnd;
  readonly address: string;
  readonly group: FlowGroup;
}

export interface Draft {
  readonly document: object;
  readonly name: string;
  readonly namespace: string;
  /** Of the ends that it is for. */
  readonly subjects: ReadonlyMap<number, FlowEnd>;
}

export interface DraftLimits {
  /** For each port. */
  readonly prefixes: number;
  /** Ranges of ports for each peer. */
  readonly ports: number;
}

const ENTITIES: Readonly<Record<number, string>> = {
  1: 'host',
  3: 'unmanaged',
  4: 'health',
  5: 'init',
  6: 'remote-node',
  7: 'kube-apiserver',
  8: 'ingress',
};
const WITH_PORTS: readonly number[] = [PROTOCOLS.TCP, PROTOCOLS.UDP, PROTOCOLS.SCTP];
const NAMES = ['app', 'app.kubernetes.io/name', 'k8s-app', 'name', 'component'];

const isIcmp = (protocol: number): boolean => protocol === PROTOCOLS.ICMP || protocol === PROTOCOLS.ICMPv6;

/** Whether a document can say it: other protocols have no ports to name, and port 0 means all. */
export const isExpressible = ({ peer, group: { protocol, port } }: Observation): boolean => {
  const l4 = isIcmp(protocol) || (WITH_PORTS.includes(protocol) && port > 0);
  return l4 && (isOutside(peer) || ENTITIES[peer.identity] !== undefined || stableLabels(peer.labels) !== undefined);
};

interface Ports {
  readonly byProtocol: Map<number, Set<number>>;
  readonly icmp: Map<number, Set<number>>;
}

const note = (ports: Ports, { protocol, port, icmpType }: FlowGroup): void => {
  const [map, value] = isIcmp(protocol) ? [ports.icmp, icmpType] : [ports.byProtocol, port];
  const known = map.get(protocol);
  if (known) known.add(value);
  else map.set(protocol, new Set([value]));
};

const portItems = ({ byProtocol }: Ports, limits: DraftLimits): object[] =>
  [...byProtocol]
    .sort(([a], [b]) => a - b)
    .flatMap(([protocol, ports]) =>
      rangesOf(ports, limits.ports).map(({ first, last }) => ({
        port: String(first),
        ...(last === first ? {} : { endPort: last }),
        protocol: protocolName(protocol),
      })),
    );

const icmpItems = ({ icmp }: Ports): object[] =>
  [...icmp]
    .sort(([a], [b]) => a - b)
    .flatMap(([protocol, types]) =>
      [...types].sort((a, b) => a - b).map((type) => ({ family: protocol === PROTOCOLS.ICMP ? 'IPv4' : 'IPv6', type })),
    );

/** One rule for ports, one for ICMP: they cannot stand in the same one. */
const l4Of = (ports: Ports, limits: DraftLimits): object[] => {
  const [numbers, types] = [portItems(ports, limits), icmpItems(ports)];
  return [
    ...(numbers.length === 0 ? [] : [{ toPorts: [{ ports: numbers }] }]),
    ...(types.length === 0 ? [] : [{ icmps: [{ fields: types }] }]),
  ];
};

const selectorOf = ({ namespace, labels }: StableLabels, own: string): object => ({
  matchLabels: { ...labels, ...(namespace === own ? {} : { 'k8s:io.kubernetes.pod.namespace': namespace }) },
});

interface Seen {
  /** By what names them. */
  readonly peers: Map<string, { readonly peer: unknown; readonly field: string; readonly ports: Ports }>;
  /** Protocol and port, or type -> addresses. */
  readonly outside: Map<string, { readonly group: FlowGroup; readonly addresses: Set<string> }>;
}

const createSeen = (): Seen => ({ peers: new Map(), outside: new Map() });

const observe = (seen: Seen, { direction, peer, address, group }: Observation, namespace: string): void => {
  if (isOutside(peer)) {
    const key = `${group.protocol} ${group.port} ${group.icmpType}`;
    const known = seen.outside.get(key);
    if (known) known.addresses.add(address);
    else seen.outside.set(key, { group, addresses: new Set([address]) });
    return;
  }
  const entity = ENTITIES[peer.identity];
  const stable = entity === undefined ? stableLabels(peer.labels) : undefined;
  const key = entity ?? stable?.key ?? '';
  let known = seen.peers.get(key);
  if (known === undefined) {
    const to = direction === 'ingress' ? 'from' : 'to';
    const named = stable === undefined ? entity : selectorOf(stable, namespace);
    known = {
      peer: named,
      field: stable === undefined ? `${to}Entities` : `${to}Endpoints`,
      ports: { byProtocol: new Map(), icmp: new Map() },
    };
    seen.peers.set(key, known);
  }
  note(known.ports, group);
};

/** What is the same but for its peers becomes one rule. */
const joined = (
  rules: readonly { readonly field: string; readonly peer: unknown; readonly l4: object }[],
): object[] => {
  const byL4 = new Map<string, { readonly field: string; readonly peers: unknown[]; readonly l4: object }>();
  for (const { field, peer, l4 } of rules) {
    const key = JSON.stringify([field, l4]);
    const known = byL4.get(key);
    if (known) known.peers.push(peer);
    else byL4.set(key, { field, peers: [peer], l4 });
  }
  return [...byL4.values()].map(({ field, peers, l4 }) => ({ [field]: peers, ...l4 }));
};

const outsideRules = ({ outside }: Seen, direction: Observation['direction'], limits: DraftLimits): object[] => {
  const byPrefixes = new Map<string, { readonly prefixes: readonly string[]; readonly ports: Ports }>();
  for (const { group, addresses } of outside.values()) {
    const prefixes = prefixesOf(addresses, limits.prefixes);
    const key = prefixes.join();
    const known = byPrefixes.get(key) ?? { prefixes, ports: { byProtocol: new Map(), icmp: new Map() } };
    byPrefixes.set(key, known);
    note(known.ports, group);
  }
  const field = direction === 'ingress' ? 'fromCIDR' : 'toCIDR';
  return [...byPrefixes.values()].flatMap(({ prefixes, ports }) =>
    l4Of(ports, limits).map((l4) => ({ [field]: prefixes, ...l4 })),
  );
};

const section = (seen: Seen, direction: Observation['direction'], limits: DraftLimits): object[] => {
  const ordered = [...seen.peers].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
  const rules = [
    ...joined(ordered.flatMap(({ peer, field, ports }) => l4Of(ports, limits).map((l4) => ({ field, peer, l4 })))),
    ...outsideRules(seen, direction, limits),
  ];
  // Closed, without an allowed peer.
  return rules.length > 0 ? rules : [{ [direction === 'ingress' ? 'fromEndpoints' : 'toEndpoints']: [] }];
};

const nameOf = (labels: StableLabels['labels'], taken: Set<string>): string => {
  const key = NAMES.find((name) => labels[name]) ?? Object.keys(labels).find((name) => labels[name]);
  const base = (key === undefined ? 'workload' : (labels[key] as string))
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  let name = `${base || 'workload'}-suggested`;
  for (let count = 2; taken.has(name); count += 1) name = `${base}-suggested-${count}`;
  taken.add(name);
  return name;
};

/** Of observations that are expressible, whose subjects have stable labels. */
export const createDrafts = (observations: readonly Observation[], limits: DraftLimits): Draft[] => {
  interface Subject {
    readonly stable: StableLabels;
    readonly subjects: Map<number, FlowEnd>;
    readonly ingress: Seen;
    readonly egress: Seen;
  }
  const subjects = new Map<string, Subject>();
  for (const observation of observations) {
    const stable = stableLabels(observation.subject.labels);
    if (stable === undefined) continue;
    let known = subjects.get(stable.key);
    if (known === undefined) {
      known = { stable, subjects: new Map(), ingress: createSeen(), egress: createSeen() };
      subjects.set(stable.key, known);
    }
    known.subjects.set(observation.subject.number, observation.subject);
    observe(known[observation.direction], observation, stable.namespace);
  }
  const taken = new Map<string, Set<string>>();
  return [...subjects.values()]
    .sort((a, b) => (a.stable.key < b.stable.key ? -1 : 1))
    .map(({ stable, subjects: ends, ingress, egress }) => {
      const { namespace, labels } = stable;
      const names = taken.get(namespace) ?? new Set<string>();
      taken.set(namespace, names);
      const name = nameOf(labels, names);
      const document = {
        apiVersion: 'cilium.io/v2',
        kind: 'CiliumNetworkPolicy',
        metadata: { name, namespace },
        spec: {
          endpointSelector: { matchLabels: labels },
          ingress: section(ingress, 'ingress', limits),
          egress: section(egress, 'egress', limits),
        },
      };
      return { document, name, namespace, subjects: ends };
    });
};
