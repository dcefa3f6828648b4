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
} from '@weir/policy-engine';
import type { Cell, Entity, Labels, Pod, PolicyJson, Verdict } from './mode.ts';
import { addressOf, type State } from './world.ts';

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

export interface View {
  readonly cidrs: CidrAllocator;
  identityOf(pod: string): number;
  /** Undefined for what is no pod. */
  compiled(pod: string): CompiledWorkload | undefined;
  peer(name: string, family: 4 | 6): PeerIdentity;
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

  const compiled = (key: string): CompiledWorkload | undefined => {
    const known = compiledPods.get(key);
    const pod = state.pods.get(key);
    if (known || !pod) return known;
    const subject = { identity: identityOf.get(key) as number, namedPorts: namedPorts(pod) };
    const made = compiler.compile({ identities, policies, cidrs, subject, peerNamedPorts });
    compiledPods.set(key, made);
    return made;
  };

  const peer = (name: string, family: 4 | 6): PeerIdentity => {
    const key = `${family}${name}`;
    const known = peers.get(key);
    if (known) return known;
    const entity = state.externals.get(name)?.entity;
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
    const policy = compiled(subject);
    if (!policy) return true;
    const { identity, twin } = peer(other, cell.family);
    const judgement = judge(policy, {
      direction,
      peerIdentity: identity,
      ...(policy.ipBlock && twin !== undefined ? { peerIpblockIdentity: twin } : {}),
      protocol: protocolNumber(cell.protocol),
      port: policyPort(cell),
    });
    return judgement.verdict === 'allow';
  };

  const endpoint = (name: string, family: 4 | 6): Endpoint => {
    const ip = addressOf(state, name, family);
    const entity = state.externals.get(name)?.entity;
    const identity = identityOf.get(name) ?? (entity ? ENTITY_IDENTITY[entity] : undefined);
    return {
      name,
      namedPorts: namedPorts(state.pods.get(name)),
      ...(ip === undefined ? {} : { ip }),
      ...(identity === undefined ? {} : { identity }),
    };
  };

  return {
    cidrs,
    identityOf: (key) => identityOf.get(key) ?? IDENTITY.UNKNOWN,
    compiled,
    peer,
    // What a workload sends to itself never leaves it.
    verdict: (cell) =>
      cell.from === cell.to ||
      (allows(cell.from, 'egress', cell.to, cell) && allows(cell.to, 'ingress', cell.from, cell))
        ? 'allow'
        : 'drop',
    explain: (cell) => {
      if (cell.from === cell.to) return `${cell.from} to itself: never leaves it`;
      const ends = { from: endpoint(cell.from, cell.family), to: endpoint(cell.to, cell.family) };
      const flow = { protocol: protocolNumber(cell.protocol), port: policyPort(cell) };
      return explain({ policies, identities, cidrs, ...ends, ...flow }).text;
    },
  };
};
