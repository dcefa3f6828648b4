// SPDX-License-Identifier: Apache-2.0
/**
 * Random cases, written in format 1 as a person would: worlds of a few pods on colliding prefixes and labels, Kubernetes and
 * Cilium policies together, and steps that change all of it. The same seed gives the same case.
 */
import { arbitraryFlow, arbitraryPolicies } from '@weir/policy-engine/testing';
import fc from 'fast-check';
import type { Case } from '../case.ts';
import { type Cell, type External, type OwnAddresses, type Protocol, VIEWS, type View } from '../mode.ts';
import { readSuite } from '../read/file.ts';
import { addressOf, apply, createState, isHost, policyName, type State } from '../world.ts';
import { isAllowed } from './evaluate.ts';

const IP4 = ['10.1.1.1', '10.1.1.2', '10.1.2.2', '10.200.0.9', '10.100.0.1', '172.16.0.1', '192.0.2.77'];
const IP6 = ['2001:db8::5', '2001:db8:1::7', '2001:db8:2::1', 'fd00::9', 'fd00::10', '2001:db9::1', 'fd00::11'];
const EXTERNALS = [
  { name: 'e1', ip4: '10.1.1.200', ip6: '2001:db8:1::1' },
  { name: 'e2', ip4: '192.0.2.1', ip6: '2001:db8::1' },
  { name: 'e3', ip4: '203.0.113.8', ip6: 'fd99::1' },
  { name: 'host', ip4: '10.1.1.254', ip6: 'fd00::fe', entity: 'host' },
  { name: 'node', ip4: '10.128.0.9', ip6: '2001:db8:9::9', entity: 'remote-node' },
  { name: 'health', ip4: '10.1.9.9', ip6: 'fd00::99', entity: 'health' },
] as const;

// biome-ignore lint/suspicious/noExplicitAny: documents as users write them
type Json = any;

const optional = (key: string, values: readonly string[]) =>
  fc.constantFrom(undefined, ...values).map((value) => (value === undefined ? {} : { [key]: value }));
const podLabels = fc.tuple(optional('app', ['a', 'b']), optional('tier', ['f', 'g'])).map(([a, b]) => ({ ...a, ...b }));
const namespaceLabels = optional('team', ['red', 'a']);
const ports = fc.subarray([
  { name: 'http', port: 80, protocol: 'TCP' },
  { name: 'http', port: 8080, protocol: 'TCP' },
  { name: 'dns', port: 53, protocol: 'UDP' },
]);
const pod = fc.record({
  ns: fc.constantFrom('x', 'y'),
  labels: podLabels,
  ports,
  families: fc.constantFrom(46, 46, 4, 6),
});
const change = fc.record({
  kind: fc.constantFrom('pod', 'pod', 'namespace', 'delete', 'update', 'create', 'leave', 'arrive'),
  which: fc.nat(1000),
  labels: podLabels,
  team: namespaceLabels,
  documents: arbitraryPolicies,
});
const materials = fc.record({
  pods: fc.array(pod, { minLength: 2, maxLength: 5 }),
  teams: fc.tuple(namespaceLabels, namespaceLabels),
  externals: fc.subarray([...EXTERNALS], { minLength: 1 }),
  hosts: fc.record({ host: podLabels, node: podLabels }),
  policies: arbitraryPolicies,
  flows: fc.array(arbitraryFlow, { minLength: 2, maxLength: 4 }),
  steps: fc.array(fc.array(change, { minLength: 1, maxLength: 3 }), { maxLength: 3 }),
});

const podJson = ({ ns, labels, ports, families }: Json, index: number): Json => ({
  ns,
  name: `p${index}`,
  labels,
  ...(families === 6 ? {} : { ip4: IP4[index] }),
  ...(families === 4 ? {} : { ip6: IP6[index] }),
  ports: ports.filter((one: Json, at: number) => ports.findIndex((other: Json) => other.name === one.name) === at),
});

/** The change as an action that is possible in this state, if there is one. */
const actionOf = ({ kind, which, labels, team, documents }: Json, state: State, made: number): Json | undefined => {
  const pods = [...state.pods.values()];
  const policies = [...state.policies.values()] as Json[];
  const onePod = pods[which % Math.max(pods.length, 1)];
  const onePolicy = policies[which % Math.max(policies.length, 1)];
  switch (kind) {
    case 'pod':
      return onePod && { setPodLabels: { namespace: onePod.ns, pod: onePod.name, labels } };
    case 'namespace':
      return { setNamespaceLabels: { namespace: which % 2 ? 'x' : 'y', labels: team } };
    case 'delete': {
      const { kind: ofKind, name, namespace } = onePolicy ? policyName(onePolicy) : { kind: '', name: '' };
      return onePolicy && { deletePolicy: { kind: ofKind, name, ...(namespace ? { namespace } : {}) } };
    }
    case 'update': {
      // Only what has no namespace may be for hosts.
      const fits = ({ kind: ofKind, metadata }: Json): boolean =>
        ofKind === onePolicy?.kind &&
        (metadata.namespace === undefined) === (onePolicy.metadata.namespace === undefined);
      const { spec } = documents.find(fits) ?? {};
      return onePolicy && spec && { updatePolicy: { ...onePolicy, spec } };
    }
    case 'create': {
      const [document] = documents;
      return { createPolicy: { ...document, metadata: { ...document.metadata, name: `q${made}` } } };
    }
    case 'leave':
      return pods.length > 2 && onePod ? { deletePod: { namespace: onePod.ns, pod: onePod.name } } : undefined;
    default: {
      const index = IP4.findIndex((ip4, at) => !pods.some((one) => one.ip4 === ip4 || one.ip6 === IP6[at]));
      const address = { ip4: IP4[index], ip6: IP6[index] };
      const namespace = which % 2 ? 'x' : 'y';
      return index < 0 ? undefined : { createPod: { namespace, pod: `n${made}`, labels, ...address, ports: [] } };
    }
  }
};

/** Plays a written action, so that the next one fits. */
const play = (state: State, written: Json): void => {
  const [name, value] = Object.entries(written)[0] as [string, Json];
  const podKey = `${value.namespace}/${value.pod}`;
  const actions: Readonly<Record<string, () => Parameters<typeof apply>[1]>> = {
    createPolicy: () => ({ do: 'createPolicy', policy: value }),
    updatePolicy: () => ({ do: 'updatePolicy', policy: value }),
    deletePolicy: () => ({ do: 'deletePolicy', policy: value }),
    setPodLabels: () => ({ do: 'setPodLabels', pod: podKey, labels: value.labels }),
    setNamespaceLabels: () => ({ do: 'setNamespaceLabels', namespace: value.namespace, labels: value.labels }),
    deletePod: () => ({ do: 'deletePod', pod: podKey }),
    createPod: () => ({ do: 'createPod', pod: { ...value, ns: value.namespace, name: value.pod } }),
  };
  const problem = apply(state, (actions[name] as () => Parameters<typeof apply>[1])());
  if (problem) throw new Error(`a random case made an impossible step: ${problem}`);
};

/** What would be is asked where some document is audited or staged. */
const viewsOf = (state: State): (View | undefined)[] => {
  const modes = [...state.policies.values()].map(({ spec, metadata }: Json) => [
    spec.mode,
    metadata.annotations?.['weir.io/mode'],
  ]);
  return [undefined, ...VIEWS.filter((view) => modes.flat().includes(view === 'audited' ? 'audit' : 'staged'))];
};

const expectJson = (state: State, endpoints: readonly string[], flow: Json): Json[] =>
  viewsOf(state)
    .flatMap((view) => ([4, 6] as const).map((family) => ({ view, family })))
    .filter(
      ({ family }) => !(flow.protocol === 'ICMP' && family === 6) && !(flow.protocol === 'ICMPv6' && family === 4),
    )
    .map(({ view, family }) => {
      const mark = (from: string, to: string): string => {
        const isJudged = (name: string) => state.pods.has(name) || isHost(state, name);
        const askable = from !== to && (isJudged(from) || isJudged(to));
        if (!askable || !addressOf(state, from, family) || !addressOf(state, to, family)) return '*';
        const cell: Cell = {
          from,
          to,
          protocol: flow.protocol as Protocol,
          port: flow.port,
          family,
          ...(view ? { view } : {}),
        };
        return isAllowed(state, cell) ? '1' : '0';
      };
      const rows = endpoints.map((from) => endpoints.map((to) => mark(from, to)).join(''));
      return { protocol: flow.protocol, port: flow.port, family: `ipv${family}`, ...(view ? { view } : {}), rows };
    });

/** Case number `seed`; `own`: the entities that take part, when their addresses are not ours to choose. */
export const randomDocument = (seed: number, own?: OwnAddresses): Json => {
  const [made] = fc.sample(materials, { seed, numRuns: 1 });
  if (!made) throw new Error('fast-check made nothing');
  const pods = made.pods.map(podJson);
  const namespaces = { x: { labels: made.teams[0] }, y: { labels: made.teams[1] } };
  const externals: (External & { ip4: string; ip6: string })[] = made.externals
    .filter((one) => !('entity' in one) || !own || own[one.entity])
    .map((one) => ({
      ...one,
      ...('entity' in one ? own?.[one.entity] : {}),
      ...(one.name === 'host' || one.name === 'node' ? { labels: made.hosts[one.name] } : {}),
    }));
  const layout = { namespaces, pods, externals };
  const state = createState({
    namespaces: new Map(
      Object.entries(namespaces).map(([name, { labels }]) => [name, labels as Record<string, string>]),
    ),
    pods: new Map(pods.map((one) => [`${one.ns}/${one.name}`, one])),
    externals: new Map(externals.map((one) => [one.name, one])),
  });
  // A packet to port 0 is malformed to some stacks; policies name it, cells do not.
  const flows = made.flows.map((flow) => (flow.port === 0 ? { ...flow, port: 2 } : flow));
  let count = 0;
  const step = (actions: Json[]): Json => {
    const endpoints = [...state.pods.keys(), ...state.externals.keys()];
    return { actions, endpoints, expect: flows.flatMap((flow) => expectJson(state, endpoints, flow)) };
  };
  const first = made.policies.map((policy: Json) => ({ createPolicy: policy }));
  for (const action of first) play(state, action);
  const steps = [step(first)];
  for (const changes of made.steps) {
    const actions: Json[] = [];
    for (const one of changes) {
      const action = actionOf(one, state, count++);
      if (!action) continue;
      play(state, action);
      actions.push(action);
    }
    steps.push(step(actions));
  }
  return { name: `random, seed ${seed}`, tags: ['random'], layout, steps };
};

/** One after the other: only one is in memory. */
export function* randomCases(count: number, seed: number, own?: OwnAddresses): Generator<Case> {
  for (let at = 0; at < count; at++) {
    const [one] = readSuite({ cases: [randomDocument(seed + at, own)] }, 'random').cases;
    if (one) yield one;
  }
}
