// SPDX-License-Identifier: Apache-2.0
/**
 * A world as policy sees it: identities, prefixes and compiled policies, numbered as inventory and agents number them.
 * Made once per step; a cell is then two look-ups. Who each end is: workloads by identity, entities by their fixed one,
 * all else by the longest prefix that a policy names.
 */
import { parseIp, protocolNumber } from '@weir/net';
import {
  allocateCidrs,
  type CidrAllocator,
  type CompiledWorkload,
  collectCidrs,
  createCidrIndex,
  createCompiler,
  type Direction,
  type Endpoint,
  explain,
  groupsIn,
  hostLabels,
  IDENTITY,
  icmpPort,
  ipBlockTwin,
  judge,
  listRules,
  NAMESPACE_LABEL,
  NAMESPACE_LABELS_PREFIX,
  type NamedPort,
  type PolicyDocument,
  type PolicyInput,
  parseDocument,
  resolveGroups,
  selects,
} from '@weir/policy-engine';
import type { Cell, View as CellView, Entity, Labels, Pod, PolicyJson, Verdict } from './mode.ts';
import { addressOf, isAsked, isHost, type State } from './world.ts';

const ENTITY_IDENTITY: Readonly<Record<Entity, number>> = {
  host: IDENTITY.HOST,
  'remote-node': IDENTITY.REMOTE_NODE,
  'kube-apiserver': IDENTITY.KUBE_APISERVER,
  health: IDENTITY.HEALTH,
  ingress: IDENTITY.INGRESS,
  init: IDENTITY.INIT,
  unmanaged: IDENTITY.UNMANAGED,
};

const METADATA_NAME = 'kubernetes.io/metadata.name';

/** As inventory makes them: a key without a source is Kubernetes'. */
const securityLabels = (pod: Pod, namespace: Labels): string[] => {
  const all: Record<string, string> = {};
  for (const [key, value] of Object.entries({ ...namespace, [METADATA_NAME]: pod.ns })) {
    all[`k8s:${NAMESPACE_LABELS_PREFIX}${key}`] = value;
  }
  for (const [key, value] of Object.entries(pod.labels)) all[key.includes(':') ? key : `k8s:${key}`] = value;
  all[`k8s:${NAMESPACE_LABEL}`] = pod.ns;
  return Object.entries(all)
    .map(([key, value]) => `${key}=${value}`)
    .sort();
};

const parsed = new WeakMap<PolicyJson, PolicyDocument>();
const documentOf = (policy: PolicyJson): PolicyDocument => {
  let document = parsed.get(policy);
  if (!document) {
    document = parseDocument(policy);
    parsed.set(policy, document);
  }
  return document;
};

/** The port that a policy is asked about. */
const policyPort = ({ protocol, port }: Cell): number => (protocol.startsWith('ICMP') ? icmpPort(port) : port);

export interface PeerIdentity {
  readonly identity: number;
  /** Of a managed end: the number of the prefix that holds its address. */
  readonly twin?: number;
}

type Compiled = 'enforced' | CellView;

export interface View {
  readonly cidrs: CidrAllocator;
  identityOf(pod: string): number;
  /** Of a pod, or of a host that policies select; undefined for what nobody's policy is. */
  compiled(name: string, as?: Compiled): CompiledWorkload | undefined;
  /** The views that there are, because some document is audited or staged. */
  readonly views: readonly CellView[];
  /** As `seenFrom` knows it: to a host every other one is a remote node, and it itself the host. */
  peer(name: string, family: 4 | 6, seenFrom?: string): PeerIdentity;
  verdict(cell: Cell): Verdict;
  explain(cell: Cell): string;
}

const namedPorts = (pod: Pod | undefined): NamedPort[] =>
  (pod?.ports ?? []).map(({ name, port, protocol }) => ({ name, port, protocol: protocolNumber(protocol) }));

export const createView = (state: State): View => {
  const identities = new Map<number, readonly string[]>();
  const byLabels = new Map<string, number>();
  const identityOf = new Map<string, number>();
  const peerNamedPorts = new Map<number, NamedPort[]>();
  for (const [key, pod] of state.pods) {
    const labels = securityLabels(pod, state.namespaces.get(pod.ns) ?? {});
    const text = labels.join('\n');
    const identity = byLabels.get(text) ?? IDENTITY.FIRST_ALLOCATED + byLabels.size;
    byLabels.set(text, identity);
    identities.set(identity, labels);
    identityOf.set(key, identity);
    peerNamedPorts.set(identity, [...(peerNamedPorts.get(identity) ?? []), ...namedPorts(pod)]);
  }
  const written = [...state.policies.values()].map(documentOf);
  const groups = groupsIn(written);
  const documents = written.map((document) => resolveGroups(document, groups));
  const cidrs = allocateCidrs(collectCidrs(documents));
  const index = createCidrIndex(cidrs);
  let rule = 1;
  const policies = documents.map(
    (doc): PolicyInput => ({ doc, ruleIds: new Map(listRules(doc).map(({ path }) => [path, rule++])) }),
  );
  const compiler = createCompiler();
  const compiledPods = new Map<string, CompiledWorkload>();
  const peers = new Map<string, PeerIdentity>();

  const views = (
    [
      ['audit', 'audited'],
      ['staged', 'pending'],
    ] as const
  )
    .filter(([mode]) => documents.some((document) => document.mode === mode))
    .map(([, made]) => made);

  const compiled = (key: string, as: Compiled = 'enforced'): CompiledWorkload | undefined => {
    const known = compiledPods.get(`${as} ${key}`);
    const pod = state.pods.get(key);
    const host = isHost(state, key) ? hostLabels(state.externals.get(key)?.labels ?? {}) : undefined;
    if (known || !(pod || (host && documents.some((document) => selects(document, host))))) return known;
    const subject = pod
      ? { identity: identityOf.get(key) as number, namedPorts: namedPorts(pod) }
      : { identity: IDENTITY.HOST, namedPorts: [], labels: host };
    const made = compiler.compile({ identities, policies, cidrs, subject, peerNamedPorts, view: as });
    compiledPods.set(`${as} ${key}`, made);
    return made;
  };

  const entityOf = (name: string, seenFrom?: string): Entity | undefined => {
    const entity = state.externals.get(name)?.entity;
    if (!isHost(state, name) || seenFrom === undefined || !isHost(state, seenFrom)) return entity;
    return name === seenFrom ? 'host' : 'remote-node';
  };

  const peer = (name: string, family: 4 | 6, seenFrom?: string): PeerIdentity => {
    const entity = entityOf(name, seenFrom);
    const key = `${family}${entity} ${name}`;
    const known = peers.get(key);
    if (known) return known;
    const managed = identityOf.get(name) ?? (entity ? ENTITY_IDENTITY[entity] : undefined);
    const ip = addressOf(state, name, family);
    const prefix = ip === undefined ? undefined : index.lookup(parseIp(ip));
    const world = family === 4 ? IDENTITY.WORLD_IPV4 : IDENTITY.WORLD_IPV6;
    const made: PeerIdentity =
      managed === undefined
        ? { identity: prefix ?? world }
        : { identity: managed, ...(prefix === undefined ? {} : { twin: ipBlockTwin(prefix) }) };
    peers.set(key, made);
    return made;
  };

  const allows = (subject: string, direction: Direction, other: string, cell: Cell): boolean => {
    const policy = isAsked(state, subject, other, direction) ? compiled(subject, cell.view) : undefined;
    if (!policy) return true;
    const { identity, twin } = peer(other, cell.family, subject);
    const judgement = judge(policy, {
      direction,
      peerIdentity: identity,
      ...(policy.ipBlock && twin !== undefined ? { peerIpblockIdentity: twin } : {}),
      protocol: protocolNumber(cell.protocol),
      port: policyPort(cell),
      allowHost: !isHost(state, subject),
    });
    return judgement.verdict === 'allow';
  };

  const endpoint = (name: string, family: 4 | 6, seenFrom: string): Endpoint => {
    const ip = addressOf(state, name, family);
    const entity = entityOf(name, seenFrom);
    const identity = identityOf.get(name) ?? (entity ? ENTITY_IDENTITY[entity] : undefined);
    const { labels = {} } = state.externals.get(name) ?? {};
    return {
      name,
      namedPorts: namedPorts(state.pods.get(name)),
      ...(entity === 'host' ? { labels: hostLabels(labels) } : {}),
      ...(ip === undefined ? {} : { ip }),
      ...(identity === undefined ? {} : { identity }),
    };
  };

  return {
    cidrs,
    identityOf: (key) => identityOf.get(key) ?? IDENTITY.UNKNOWN,
    compiled,
    views,
    peer,
    // What a workload sends to itself never leaves it.
    verdict: (cell) =>
      cell.from === cell.to ||
      (allows(cell.from, 'egress', cell.to, cell) && allows(cell.to, 'ingress', cell.from, cell))
        ? 'allow'
        : 'drop',
    explain: (cell) => {
      if (cell.from === cell.to) return `${cell.from} to itself: never leaves it`;
      const flow = { protocol: protocolNumber(cell.protocol), port: policyPort(cell) };
      const as = (seenFrom: string) => {
        const ends = { from: endpoint(cell.from, cell.family, seenFrom), to: endpoint(cell.to, cell.family, seenFrom) };
        return explain({ policies, identities, cidrs, ...ends, ...flow });
      };
      return `${as(cell.from).egress.text}\n${as(cell.to).ingress.text}`;
    },
  };
};
