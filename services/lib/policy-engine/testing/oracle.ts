// SPDX-License-Identifier: Apache-2.0
/**
 * A second opinion: what the documents of the Normal tier say of one question, straight from their JSON, rule by rule, deny over
 * allow, without identities, prefixes or tries (oracle-tiers.ts asks the other tiers). Written from the semantics, sharing no code with the engine; slow and plain on purpose.
 */

// biome-ignore lint/suspicious/noExplicitAny: documents as users write them
type Json = any;

export interface OraclePeer {
  /** A workload has labels, everything else a kind. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly ns?: string;
  readonly nsLabels?: Readonly<Record<string, string>>;
  readonly ip?: string;
  readonly reserved?: string;
  /** Of a host whose own policy is asked. */
  readonly hostLabels?: Readonly<Record<string, string>>;
  /** name/PROTOCOL -> port numbers */
  readonly named?: Readonly<Record<string, readonly number[]>>;
}

export interface OracleFlow {
  /** TCP, UDP, SCTP, or ICMP, ICMPv6 with the type as port. */
  readonly protocol: string;
  readonly port: number;
}

export const tierOf = (policy: Json): string =>
  ['ClusterNetworkPolicy', 'FirewallPolicy'].includes(policy.kind) ? (policy.spec.tier ?? 'Normal') : 'Normal';

export const modeOf = (policy: Json): string =>
  (policy.kind === 'FirewallPolicy' ? policy.spec.mode : undefined) ??
  policy.metadata.annotations?.['weir.io/mode'] ??
  'enforce';

export const isJudged = (policy: Json): boolean => ['enforce', 'audit'].includes(modeOf(policy));

export interface OracleAnswer {
  readonly verdict: 'allow' | 'deny';
  readonly enforced: boolean;
  /** policy index and rule path of every rule that matches. */
  readonly denies: readonly string[];
  readonly allows: readonly string[];
}

const number = (ip: string): { family: number; value: bigint } => {
  if (!ip.includes(':'))
    return { family: 4, value: ip.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n) };
  const [head = '', tail] = ip.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle = tail === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => '0');
  return {
    family: 6,
    value: [...left, ...middle, ...right].reduce((sum, part) => sum * 65536n + BigInt(`0x${part}`), 0n),
  };
};

export const inCidr = (ip: string | undefined, cidr: string): boolean => {
  if (ip === undefined) return false;
  const [base = '', bitsText] = cidr.split('/');
  const a = number(ip);
  const b = number(base);
  if (a.family !== b.family) return false;
  const width = a.family === 4 ? 32n : 128n;
  const shift = width - (bitsText === undefined ? width : BigInt(bitsText));
  return a.value >> shift === b.value >> shift;
};

const isOutside = (peer: OraclePeer): boolean => !peer.labels && !peer.reserved;

/** Labels as `key -> value`; namespace and its labels under their usual keys. */
export const allLabels = (peer: OraclePeer): Record<string, string> => {
  if (peer.reserved) return { [`reserved:${peer.reserved}`]: '' };
  if (!peer.labels) return { 'reserved:world': '', [`reserved:world-ipv${peer.ip?.includes(':') ? 6 : 4}`]: '' };
  const labels: Record<string, string> = { ...peer.labels, 'io.kubernetes.pod.namespace': peer.ns as string };
  for (const [key, value] of Object.entries(peer.nsLabels ?? {}))
    labels[`io.cilium.k8s.namespace.labels.${key}`] = value;
  return labels;
};

export const selectorHolds = (selector: Json, labels: Record<string, string>, strip = true): boolean => {
  const get = (key: string): string | undefined => labels[strip ? key.replace(/^(k8s|any):/, '') : key];
  for (const [key, value] of Object.entries(selector?.matchLabels ?? {})) if (get(key) !== value) return false;
  for (const { key, operator, values } of selector?.matchExpressions ?? []) {
    const value = get(key);
    if (operator === 'In' && (value === undefined || !values.includes(value))) return false;
    if (operator === 'NotIn' && value !== undefined && values.includes(value)) return false;
    if (operator === 'Exists' && value === undefined) return false;
    if (operator === 'DoesNotExist' && value !== undefined) return false;
  }
  return true;
};

/** Documents with a nodeSelector are for hosts, by their own labels, and for nobody else; all others for workloads. */
export const isSubject = ({ spec, metadata }: Json, subject: OraclePeer): boolean => {
  if (spec.nodeSelector !== undefined)
    return subject.hostLabels !== undefined && selectorHolds(spec.nodeSelector, subject.hostLabels);
  const isInside = metadata.namespace === undefined || metadata.namespace === subject.ns;
  return isInside && subject.labels !== undefined && selectorHolds(spec.endpointSelector, allLabels(subject));
};

const keysOf = (selector: Json): string[] => [
  ...Object.keys(selector?.matchLabels ?? {}),
  ...(selector?.matchExpressions ?? []).map(({ key }: Json) => key),
];

const entityHolds = (entity: string, peer: OraclePeer): boolean => {
  const outside = isOutside(peer);
  switch (entity) {
    case 'all':
      return true;
    case 'none':
      return false;
    case 'world':
      return outside;
    case 'world-ipv4':
      return outside && !peer.ip?.includes(':');
    case 'world-ipv6':
      return outside && peer.ip?.includes(':') === true;
    case 'cluster':
      return !outside;
    case 'remote-node':
      return peer.reserved === 'remote-node' || peer.reserved === 'kube-apiserver';
    default:
      return peer.reserved === entity;
  }
};

const ciliumEndpoint = (selector: Json, peer: OraclePeer, ns: string | undefined): boolean => {
  const labels = allLabels(peer);
  const keys = keysOf(selector);
  if (keys.some((key) => key.startsWith('reserved:'))) return selectorHolds(selector, labels);
  if (!peer.labels) return false;
  const namesNamespace = keys.some(
    (key) => key.endsWith('io.kubernetes.pod.namespace') || key.includes('io.cilium.k8s.namespace.labels.'),
  );
  if (ns !== undefined && !namesNamespace && peer.ns !== ns) return false;
  return selectorHolds(selector, labels);
};

export const ciliumPeer = (rule: Json, way: 'from' | 'to', peer: OraclePeer, ns: string | undefined): boolean => {
  const lists = ['Endpoints', 'Entities', 'CIDR', 'CIDRSet'].filter((kind) => rule[way + kind] !== undefined);
  if (lists.length === 0) return true;
  if (lists.some((kind) => rule[way + kind].length === 0)) return false;
  return lists.some((kind) =>
    rule[way + kind].some((one: Json) => {
      if (kind === 'Endpoints') return ciliumEndpoint(one, peer, ns);
      if (kind === 'Entities') return entityHolds(one, peer);
      if (!isOutside(peer)) return false;
      if (kind === 'CIDR') return inCidr(peer.ip, one);
      return inCidr(peer.ip, one.cidr) && !(one.except ?? []).some((hole: string) => inCidr(peer.ip, hole));
    }),
  );
};

export const namedHolds = (named: OraclePeer['named'], name: string, flow: OracleFlow): boolean =>
  (named?.[`${name.toLowerCase()}/${flow.protocol}`] ?? []).includes(flow.port);

export const ciliumL4 = (rule: Json, flow: OracleFlow, named: OraclePeer['named']): boolean => {
  const ports = rule.toPorts ?? [];
  const icmps = rule.icmps ?? [];
  if (ports.length === 0 && icmps.length === 0) return true;
  for (const { ports: list } of ports) {
    for (const { port, endPort, protocol = 'ANY' } of list ?? []) {
      if (!['TCP', 'UDP', 'SCTP'].includes(flow.protocol)) continue;
      if (protocol !== 'ANY' && protocol !== flow.protocol) continue;
      if (/[a-z]/i.test(port)) {
        if (namedHolds(named, port, flow)) return true;
        continue;
      }
      const first = Number(port);
      const last = endPort || (first === 0 ? 65535 : first);
      if (flow.port >= first && flow.port <= last) return true;
    }
  }
  for (const { fields } of icmps) {
    for (const { family = 'IPv4', type } of fields ?? []) {
      if (flow.protocol === (family === 'IPv4' ? 'ICMP' : 'ICMPv6') && flow.port === type) return true;
    }
  }
  return false;
};

const kubernetesPeer = (one: Json, peer: OraclePeer, ns: string): boolean => {
  if (one.ipBlock)
    return (
      inCidr(peer.ip, one.ipBlock.cidr) && !(one.ipBlock.except ?? []).some((hole: string) => inCidr(peer.ip, hole))
    );
  if (!peer.labels) return false;
  if (one.namespaceSelector ? !selectorHolds(one.namespaceSelector, peer.nsLabels ?? {}, false) : peer.ns !== ns)
    return false;
  return selectorHolds(one.podSelector, peer.labels, false);
};

const kubernetesL4 = (rule: Json, flow: OracleFlow, named: OraclePeer['named']): boolean => {
  const ports = rule.ports ?? [];
  if (ports.length === 0) return true;
  return ports.some(({ port, endPort, protocol = 'TCP' }: Json) => {
    if (protocol !== flow.protocol) return false;
    if (port === undefined) return true;
    if (typeof port === 'string') return namedHolds(named, port, flow);
    return flow.port >= port && flow.port <= (endPort ?? port);
  });
};

/** What the policies of the Normal tier say. */
export const askNormal = (
  policies: readonly Json[],
  direction: 'ingress' | 'egress',
  subject: OraclePeer,
  peer: OraclePeer,
  flow: OracleFlow,
): Omit<OracleAnswer, 'verdict'> => {
  const denies: string[] = [];
  const allows: string[] = [];
  let enforced = false;
  const named = direction === 'ingress' ? subject.named : peer.named;
  const way = direction === 'ingress' ? 'from' : 'to';
  for (const [at, policy] of policies.entries()) {
    const { spec, audit } = { spec: policy.spec, audit: modeOf(policy) === 'audit' };
    const ns = policy.metadata.namespace;
    if (tierOf(policy) !== 'Normal' || !isJudged(policy) || (ns !== undefined && subject.ns !== ns)) continue;
    if (policy.kind === 'NetworkPolicy') {
      if (!selectorHolds(spec.podSelector, subject.labels ?? {}, false)) continue;
      const types = spec.policyTypes?.length
        ? spec.policyTypes
        : ['Ingress', ...(spec.egress?.length ? ['Egress'] : [])];
      if (!types.includes(direction === 'ingress' ? 'Ingress' : 'Egress')) continue;
      if (!audit) enforced = true;
      for (const [index, rule] of (spec[direction] ?? []).entries()) {
        const peers = rule[way] ?? [];
        const matched = peers.filter((one: Json) => kubernetesPeer(one, peer, ns));
        if (peers.length > 0 && matched.length === 0) continue;
        // An address has no names: what only an ipBlock of an egress rule matches is matched by number.
        const byAddress = direction === 'egress' && peers.length > 0 && matched.every((one: Json) => one.ipBlock);
        if (kubernetesL4(rule, flow, byAddress ? undefined : named)) allows.push(`${at} spec.${direction}[${index}]`);
      }
      continue;
    }
    if (!isSubject(policy, subject)) continue;
    const own = policy.kind === 'FirewallPolicy';
    for (const section of own ? [direction] : [direction, `${direction}Deny`]) {
      for (const [index, rule] of (spec[section] ?? []).entries()) {
        if (spec.enableDefaultDeny?.[direction] !== false && !audit) enforced = true;
        if (!ciliumPeer(rule, way, peer, ns) || !ciliumL4(rule, flow, named)) continue;
        const deny = own ? rule.action === 'Deny' : section !== direction;
        if (deny && audit) continue;
        (deny ? denies : allows).push(`${at} spec.${section}[${index}]`);
      }
    }
  }
  return { enforced, denies, allows };
};
