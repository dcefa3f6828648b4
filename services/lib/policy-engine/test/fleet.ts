// SPDX-License-Identifier: Apache-2.0
/** A small fleet for tables of verdicts: pods, namespaces and outside addresses in, "may a reach b" out, both ends judged. */
import assert from 'node:assert/strict';
import { parseIp, protocolNumber } from '@weir/net';
import {
  allocateCidrs,
  type CompiledWorkload,
  collectCidrs,
  createCidrIndex,
  createCompiler,
  IDENTITY,
  icmpPort,
  ipBlockTwin,
  judge,
  listRules,
  type NamedPort,
  type PolicyDocument,
  parseDocuments,
} from '../src/index.ts';

export interface Pod {
  readonly ns?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly ip?: string;
  /** name -> "TCP/80" */
  readonly ports?: Readonly<Record<string, string>>;
}

export interface FleetSpec {
  readonly pods: Readonly<Record<string, Pod>>;
  readonly namespaces?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Outside addresses, or reserved peers by identity. */
  readonly others?: Readonly<Record<string, string | number>>;
}

export const parseOk = (text: string): readonly PolicyDocument[] => {
  const { documents, issues } = parseDocuments(text);
  assert.deepEqual(issues, []);
  return documents;
};

const podLabels = (pod: Pod, namespaces: FleetSpec['namespaces']): string[] => {
  const ns = pod.ns ?? 'default';
  const own = Object.entries(pod.labels ?? {}).map(([key, value]) => `k8s:${key}=${value}`);
  const ofNamespace = Object.entries({ 'kubernetes.io/metadata.name': ns, ...namespaces?.[ns] }).map(
    ([key, value]) => `k8s:io.cilium.k8s.namespace.labels.${key}=${value}`,
  );
  return [...own, `k8s:io.kubernetes.pod.namespace=${ns}`, ...ofNamespace].sort();
};

const namedPorts = (pod: Pod): NamedPort[] =>
  Object.entries(pod.ports ?? {}).map(([name, text]) => {
    const [protocol = '', port = ''] = text.split('/');
    return { name, protocol: protocolNumber(protocol), port: Number(port) };
  });

/** `TCP/80`, `ICMP/8` (type). */
const parseFlow = (flow: string): { protocol: number; port: number } => {
  const [name = '', port = '0'] = flow.split('/');
  const protocol = protocolNumber(name);
  return { protocol, port: protocol === 1 || protocol === 58 ? icmpPort(Number(port)) : Number(port) };
};

export const createFleet = (spec: FleetSpec, policies: string | readonly PolicyDocument[]) => {
  const documents = typeof policies === 'string' ? parseOk(policies) : policies;
  const identities = new Map<number, readonly string[]>();
  const identityOf = new Map<string, number>();
  const byLabels = new Map<string, number>();
  const peerNamedPorts = new Map<number, NamedPort[]>();
  for (const [name, pod] of Object.entries(spec.pods)) {
    const labels = podLabels(pod, spec.namespaces);
    let identity = byLabels.get(labels.join());
    if (identity === undefined) {
      identity = IDENTITY.FIRST_ALLOCATED + byLabels.size;
      byLabels.set(labels.join(), identity);
      identities.set(identity, labels);
    }
    identityOf.set(name, identity);
    peerNamedPorts.set(identity, [...(peerNamedPorts.get(identity) ?? []), ...namedPorts(pod)]);
  }
  const cidrs = allocateCidrs(collectCidrs(documents));
  const index = createCidrIndex(cidrs);
  let next = 1;
  const numbered = documents.map((doc) => ({
    doc,
    ruleIds: new Map(listRules(doc).map(({ path }) => [path, next++])),
  }));
  const compiler = createCompiler();
  const compiled = new Map<string, CompiledWorkload>();

  const compile = (name: string): CompiledWorkload => {
    let done = compiled.get(name);
    if (!done) {
      const pod = spec.pods[name];
      assert.ok(pod, `no pod ${name}`);
      done = compiler.compile({
        identities,
        policies: numbered,
        cidrs,
        subject: { identity: identityOf.get(name) as number, namedPorts: namedPorts(pod) },
        peerNamedPorts,
      });
      compiled.set(name, done);
    }
    return done;
  };
  const peer = (name: string): { identity: number; twin?: number } => {
    const other = spec.others?.[name];
    if (typeof other === 'number') return { identity: other };
    const ip = spec.pods[name]?.ip ?? other;
    const cidr = ip === undefined ? undefined : index.lookup(parseIp(ip));
    const managed = identityOf.get(name);
    if (managed !== undefined) return { identity: managed, ...(cidr === undefined ? {} : { twin: ipBlockTwin(cidr) }) };
    assert.ok(ip, `no peer ${name}`);
    return { identity: cidr ?? (ip.includes(':') ? IDENTITY.WORLD_IPV6 : IDENTITY.WORLD_IPV4) };
  };
  const half = (subject: string, other: string, direction: 'ingress' | 'egress', flow: string, allowHost = true) => {
    const policy = compile(subject);
    const { identity, twin } = peer(other);
    return judge(policy, {
      direction,
      peerIdentity: identity,
      ...(policy.ipBlock && twin !== undefined ? { peerIpblockIdentity: twin } : {}),
      ...parseFlow(flow),
      allowHost,
    });
  };
  return {
    documents,
    identities,
    numbered,
    cidrs,
    compile,
    half,
    /** Both ends. */
    reaches(from: string, to: string, flow: string): boolean {
      const egress = !spec.pods[from] || half(from, to, 'egress', flow).verdict === 'allow';
      return egress && (!spec.pods[to] || half(to, from, 'ingress', flow).verdict === 'allow');
    },
  };
};

/** `a -> b TCP/80: yes`, one a line. */
export const checkTable = (fleet: ReturnType<typeof createFleet>, table: string): void => {
  const lines = table
    .trim()
    .split('\n')
    .map((line) => line.trim());
  const got = lines.map((line) => {
    const [, from = '', to = '', flow = ''] = /^(\S+) -> (\S+) (\S+): (?:yes|no)$/.exec(line) ?? [];
    assert.ok(flow, `cannot read ${line}`);
    return `${from} -> ${to} ${flow}: ${fleet.reaches(from, to, flow) ? 'yes' : 'no'}`;
  });
  assert.deepEqual(got, lines);
};
