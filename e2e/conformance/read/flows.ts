// SPDX-License-Identifier: Apache-2.0
/**
 * Format 2: Cilium policies and flows, in one world for a whole file. A flow between two ends that both have both families
 * is two cells. Kinds of flows that this build does not enforce are counted by kind and asked of nobody.
 */
import type { Case, Expected } from '../case.ts';
import type { External, Family, Labels, Pod, Protocol, Verdict } from '../mode.ts';
import { addressOf, apply, createState, type State } from '../world.ts';
import { entries, json, labels, list, object, oneOf, text, type Value, wrong } from './value.ts';
import { address, asExternal, asPod, entityOf, protocolAndPort, viewOf } from './world.ts';

export interface FlowWorld {
  readonly state: State;
  /** What the file calls an end -> what the world does. */
  readonly names: ReadonlyMap<string, string>;
  /** As written, for replays. */
  readonly meta: unknown;
}

const external = (name: string, of: Value): External => {
  const entity = entityOf(name);
  if (typeof of.value !== 'string') return asExternal(name, object(of, ['ip4', 'ip6', 'entity', 'labels']), entity);
  const { ip, family } = address(of);
  return { name, ...(family === 4 ? { ip4: ip } : { ip6: ip }), ...(entity ? { entity } : {}) };
};

/** `{"default": {"labels": {...}}}`, or the labels themselves. */
const namespaceLabels = (of: Value): Labels => {
  const inside = object({ ...of, note: () => {} }, ['labels']).get('labels');
  return inside && typeof inside.value === 'object' ? labels(inside) : labels(of);
};

export const flowWorld = (meta: Value): FlowWorld => {
  const world = object(object(meta, ['world', 'name', 'tags', 'version']).need('world'), [
    'endpoints',
    'addresses',
    'namespaces',
  ]);
  const namespaces = new Map<string, Labels>();
  const written = world.get('namespaces');
  for (const [name, value] of written ? entries(written) : []) namespaces.set(name, namespaceLabels(value));
  const pods = new Map<string, Pod>();
  const names = new Map<string, string>();
  for (const [name, value] of entries(world.need('endpoints'))) {
    const fields = object(value, ['ns', 'labels', 'ip4', 'ip6', 'named']);
    const ns = fields.get('ns');
    const named = fields.get('named');
    const ports = named ? entries(named).map(([called, one]) => protocolAndPort(called, one)) : [];
    const pod = asPod(ns ? text(ns) : 'default', name, fields, ports);
    if (!namespaces.has(pod.ns)) namespaces.set(pod.ns, {});
    pods.set(`${pod.ns}/${name}`, pod);
    names.set(name, `${pod.ns}/${name}`);
  }
  const externals = new Map<string, External>();
  const outside = world.get('addresses');
  for (const [name, value] of outside ? entries(outside) : []) {
    if (names.has(name)) wrong(value, `the name ${name} is taken by an endpoint`, 'rename one');
    externals.set(name, external(name, value));
    names.set(name, name);
  }
  return { state: createState({ namespaces, pods, externals }), names, meta: meta.value };
};

const KINDS: Readonly<
  Record<string, { readonly protocol: Protocol; readonly family?: Family; readonly most: number }>
> = {
  tcp: { protocol: 'TCP', most: 65535 },
  udp: { protocol: 'UDP', most: 65535 },
  sctp: { protocol: 'SCTP', most: 65535 },
  icmp: { protocol: 'ICMP', family: 4, most: 255 },
  icmp6: { protocol: 'ICMPv6', family: 6, most: 255 },
  icmpv6: { protocol: 'ICMPv6', family: 6, most: 255 },
};

const FAMILIES = { any: [4, 6], ipv4: [4], ipv6: [6] } as const satisfies Record<string, readonly Family[]>;

interface Counted {
  readonly expected: Expected[];
  readonly skipped: Map<string, number>;
}

const end = (of: Value, { state, names }: FlowWorld): string =>
  names.get(text(of)) ??
  (state.pods.has(text(of))
    ? text(of)
    : wrong(of, `${text(of)} is no endpoint or address of the world`, 'add it there'));

const flow = (of: Value, world: FlowWorld, into: Counted): void => {
  const fields = object(of, ['from', 'to', 'flow', 'expect', 'family', 'view', 'name']);
  const from = end(fields.need('from'), world);
  const to = end(fields.need('to'), world);
  const written = fields.need('flow');
  const skip = (why: string): void => {
    into.skipped.set(why, (into.skipped.get(why) ?? 0) + 1);
  };
  const [, word = '', rest = ''] = /^\s*([A-Za-z0-9-]+)[\s/]?(.*)$/.exec(text(written)) ?? [];
  const kind = KINDS[word.toLowerCase()];
  if (!kind) {
    if (word === '') wrong(written, 'names no kind', 'write tcp/80');
    skip(`flows of kind ${word.toLowerCase()} are not enforced yet`);
    return;
  }
  const number = /^[0-9]{1,5}$/.test(rest) ? Number(rest) : Number.NaN;
  if (!(number <= kind.most)) wrong(written, `must be ${word}/0 to ${word}/${kind.most}`, 'correct the number');
  const want: Verdict = oneOf(fields.need('expect'), ['allow', 'drop'] as const);
  const family = fields.get('family');
  const families = FAMILIES[family ? oneOf(family, ['any', 'ipv4', 'ipv6'] as const) : 'any'].filter(
    (one) => (kind.family ?? one) === one && addressOf(world.state, from, one) && addressOf(world.state, to, one),
  );
  if (families.length === 0) skip('the ends have no addresses of that family');
  const ends = [text(fields.need('from')), text(fields.need('to'))] as const;
  for (const one of families) {
    const cell = { from, to, protocol: kind.protocol, port: number, family: one, ...viewOf(fields) };
    into.expected.push({ cell, want, ends });
  }
};

export const FLOW_FIELDS = ['name', 'tags', 'policies', 'flows'];

export const flowCase = (of: Value, index: number, world: FlowWorld): Case => {
  const fields = object(of, FLOW_FIELDS);
  const name = fields.get('name');
  const tags = fields.get('tags');
  const state = createState(world.state);
  const policies = fields.get('policies');
  const actions = (policies ? list(policies) : []).map((one) => {
    const action = { do: 'createPolicy', policy: json(one) } as const;
    const problem = apply(state, action);
    return problem === undefined ? action : wrong(one, problem, 'rename one');
  });
  const into: Counted = { expected: [], skipped: new Map() };
  for (const one of list(fields.need('flows'))) flow(one, world, into);
  return {
    name: name ? text(name) : `case ${index + 1}`,
    tags: tags ? list(tags).map(text) : [],
    world: world.state,
    steps: [{ actions, ...into }],
    replay: { meta: world.meta, cases: [of.value] },
  };
};
