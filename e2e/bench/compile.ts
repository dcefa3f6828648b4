// SPDX-License-Identifier: Apache-2.0
/**
 * What the policy engine costs an agent: reading documents, compiling a host's workloads for the first time, and again after the
 * smallest change. Documents are of all kinds, each with a few rules on labels, prefixes and ports; one of a hundred is for everybody.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  allocateCidrs,
  type CompiledWorkload,
  collectCidrs,
  createCompiler,
  IDENTITY,
  listRules,
  type PolicyInput,
  parseDocument,
} from '@weir/policy-engine';
import { atMost, type BenchOptions, median, type Row } from './report.ts';

const APPS = 100;
const WORKLOADS_OF_HOST = 50;
const FIRST_MOST_MS = 1_000;
const AGAIN_MOST_MS = 50;
const MEMORY_MOST_MIB = 256;

const labels = (app: number) => ({ app: `app-${app % APPS}` });

/** A few rules of every shape; `app` says whom the document is for. */
const documentOf = (i: number): Record<string, unknown> => {
  const metadata = { name: `p${i}` };
  const port = String(1024 + (i % 5000));
  const ingress = [
    { fromEndpoints: [{ matchLabels: labels(i + 1) }], toPorts: [{ ports: [{ port, protocol: 'TCP' }] }] },
    { fromCIDR: [`10.${i % 250}.${(i >> 8) % 250}.0/24`] },
  ];
  const egress = [{ toEndpoints: [{ matchLabels: labels(i + 2) }] }];
  const subject = i % 100 === 0 ? {} : { matchLabels: labels(i) };
  switch (i % 4) {
    case 0:
      return {
        apiVersion: 'policy.networking.k8s.io/v1alpha2',
        kind: 'ClusterNetworkPolicy',
        metadata,
        spec: {
          tier: i % 8 === 0 ? 'Admin' : 'Baseline',
          priority: i % 1000,
          subject: { pods: { namespaceSelector: {}, podSelector: subject } },
          ingress: [
            {
              action: ['Accept', 'Deny', 'Pass'][i % 3],
              from: [{ pods: { namespaceSelector: {}, podSelector: { matchLabels: labels(i + 3) } } }],
              protocols: [{ tcp: { destinationPort: { number: Number(port) } } }],
            },
          ],
        },
      };
    case 1:
      return {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { ...metadata, namespace: 'default' },
        spec: {
          podSelector: subject,
          ingress: [{ from: [{ podSelector: { matchLabels: labels(i + 4) } }], ports: [{ port: Number(port) }] }],
        },
      };
    default:
      return {
        apiVersion: 'cilium.io/v2',
        kind: 'CiliumNetworkPolicy',
        metadata: { ...metadata, namespace: 'default' },
        spec: { endpointSelector: subject, ingress, ...(i % 4 === 3 ? { egress } : {}) },
      };
  }
};

const collectGarbage = (): void => {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
};
const heapMiB = (): number => {
  collectGarbage();
  return process.memoryUsage().heapUsed / 2 ** 20;
};

const timed = <T>(work: () => T): { readonly result: T; readonly ms: number } => {
  const before = performance.now();
  const result = work();
  return { result, ms: performance.now() - before };
};

export const compile = async ({ smoke, onStep }: BenchOptions): Promise<Row[]> => {
  const [count, identityCount] = smoke ? [200, 50] : [10_000, 1_000];
  const label = `${count} policies, ${identityCount} identities`;
  const before = heapMiB();
  onStep(`reading ${count} documents`);
  const texts = Array.from({ length: count }, (_, i) => documentOf(i));
  const read = timed(() => texts.map((json) => parseDocument(json)));
  const docs = read.result;
  let rule = 1;
  const policies: PolicyInput[] = docs.map((doc) => ({
    doc,
    ruleIds: new Map(listRules(doc).map(({ path }) => [path, rule++])),
  }));
  const identityLabels = (i: number, version = ''): readonly string[] => [
    `k8s:app=app-${i % APPS}`,
    `k8s:instance=${i}${version}`,
    'k8s:io.kubernetes.pod.namespace=default',
  ];
  let identities = new Map(
    Array.from({ length: identityCount }, (_, i) => [IDENTITY.FIRST_ALLOCATED + i, identityLabels(i)]),
  );
  const numbering = timed(() => allocateCidrs(collectCidrs(docs)));
  const cidrs = numbering.result;
  const compiler = createCompiler();
  const compileOne = (workload: number, inForce: readonly PolicyInput[]): CompiledWorkload =>
    compiler.compile({
      identities,
      policies: inForce,
      cidrs,
      subject: { identity: IDENTITY.FIRST_ALLOCATED + workload, namedPorts: [] },
    });
  onStep('first compile of a host');
  const first = timed(() => compileOne(0, policies));
  const rest = Array.from({ length: Math.min(WORKLOADS_OF_HOST, identityCount) - 1 }, (_, i) => i + 1);
  const others = timed(() => rest.map((workload) => compileOne(workload, policies)));
  const memory = heapMiB() - before;
  const entries = first.result.entries.length + others.result.reduce((sum, one) => sum + one.entries.length, 0);
  onStep('compiling again after a change');
  const afterPolicy: number[] = [];
  const afterIdentity: number[] = [];
  for (let round = 0; round < (smoke ? 1 : 21); round++) {
    const changed = policies.map((policy, i) =>
      i === round ? { doc: parseDocument({ ...documentOf(i + 4) }), ruleIds: policy.ruleIds } : policy,
    );
    afterPolicy.push(timed(() => compileOne(round % rest.length, changed)).ms);
    identities = new Map(identities).set(IDENTITY.FIRST_ALLOCATED + identityCount + round, identityLabels(round));
    afterIdentity.push(timed(() => compileOne(round % rest.length, policies)).ms);
  }
  const firstHost = first.ms + others.ms;
  return [
    { metric: `read and check, ${label}`, value: (read.ms / count) * 1000, unit: 'us a document' },
    { metric: `number the prefixes, ${label}`, value: numbering.ms, unit: 'ms' },
    { metric: `first workload, ${label}`, value: first.ms, unit: 'ms', ...atMost(first.ms, FIRST_MOST_MS) },
    { metric: `all ${rest.length + 1} workloads of a host, full (${entries} entries)`, value: firstHost, unit: 'ms' },
    {
      metric: 'one workload after a policy changed',
      value: median(afterPolicy),
      unit: 'ms',
      ...atMost(median(afterPolicy), AGAIN_MOST_MS),
    },
    {
      metric: 'one workload after an identity came',
      value: median(afterIdentity),
      unit: 'ms',
      ...atMost(median(afterIdentity), AGAIN_MOST_MS),
    },
    {
      metric: `heap of documents, caches and entries, ${label}`,
      value: memory,
      unit: 'MiB',
      ...atMost(memory, MEMORY_MOST_MIB),
    },
  ];
};
