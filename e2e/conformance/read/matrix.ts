// SPDX-License-Identifier: Apache-2.0
/** Format 1: matrices. Steps follow each other in one world, which is played along so that slips show at their place. */
import type { Case, Expected, Step } from '../case.ts';
import type { Action, External, Family, Labels, Pod, PolicyName, Protocol } from '../mode.ts';
import { addressOf, apply, createState, podKey, type State } from '../world.ts';
import { entries, integer, json, labels, list, object, oneOf, text, type Value, wrong } from './value.ts';
import { asExternal, asPod, podLabels, port, portList, viewOf } from './world.ts';

const PROTOCOLS = ['TCP', 'UDP', 'SCTP', 'ICMP', 'ICMPv6'] as const;
const FAMILIES = { any: [4, 6], ipv4: [4], ipv6: [6] } as const satisfies Record<string, readonly Family[]>;

const layout = (of: Value): State => {
  const fields = object(of, ['namespaces', 'pods', 'externals']);
  const namespaces = new Map<string, Labels>();
  const written = fields.get('namespaces');
  for (const [name, value] of written ? entries(written) : []) {
    const inside = object(value, ['labels']).get('labels');
    namespaces.set(name, inside ? labels(inside) : {});
  }
  const pods = new Map<string, Pod>();
  for (const value of list(fields.need('pods'))) {
    const inside = object(value, ['ns', 'name', 'labels', 'ip4', 'ip6', 'ports']);
    const ns = text(inside.need('ns'));
    const pod = asPod(ns, text(inside.need('name')), inside, portList(inside.get('ports')));
    if (!namespaces.has(ns)) namespaces.set(ns, {});
    if (pods.has(podKey(pod))) wrong(value, `the pod ${podKey(pod)} is there twice`, 'rename one');
    pods.set(podKey(pod), pod);
  }
  const externals = new Map<string, External>();
  const outside = fields.get('externals');
  for (const value of outside ? list(outside) : []) {
    const inside = object(value, ['name', 'ip4', 'ip6', 'entity', 'labels']);
    const name = text(inside.need('name'));
    if (externals.has(name) || pods.has(name)) wrong(value, `the name ${name} is taken`, 'rename one');
    externals.set(name, asExternal(name, inside, undefined));
  }
  return createState({ namespaces, pods, externals });
};

/** A file names namespace and name; the kind is that of the policy which has them. */
const nameToDelete = (of: Value, state: State): PolicyName => {
  const fields = object(of, ['kind', 'namespace', 'name']);
  const name = text(fields.need('name'));
  const kind = fields.get('kind');
  const namespace = fields.get('namespace');
  const ns = namespace ? text(namespace) : undefined;
  const found = [...state.policies.keys()]
    .map((key) => key.split('/') as [string, string, string])
    .filter(([ofKind, inNamespace, called]) => {
      const place = ns === undefined ? ['-', 'default'].includes(inNamespace) : inNamespace === ns;
      return called === name && place && (!kind || ofKind === text(kind));
    });
  const [first, second] = found;
  if (!first) return wrong(of, `there is no policy ${ns ?? '-'}/${name} at this point`, 'create it before');
  if (second) return wrong(of, `${found.length} policies have this name`, 'say which: add kind');
  return { kind: first[0], ...(first[1] === '-' ? {} : { namespace: first[1] }), name };
};

const podOf = (of: Value, fields: readonly string[]) => {
  const inside = object(of, ['namespace', 'pod', ...fields]);
  return { inside, ns: text(inside.need('namespace')), name: text(inside.need('pod')) };
};

const READERS: Readonly<Record<Action['do'], (of: Value, state: State) => Action>> = {
  createPolicy: (of) => ({ do: 'createPolicy', policy: json(of) }),
  updatePolicy: (of) => ({ do: 'updatePolicy', policy: json(of) }),
  deletePolicy: (of, state) => ({ do: 'deletePolicy', policy: nameToDelete(of, state) }),
  createNamespace: (of) => {
    const fields = object(of, ['namespace', 'labels']);
    const written = fields.get('labels');
    return {
      do: 'createNamespace',
      namespace: text(fields.need('namespace')),
      labels: written ? labels(written) : {},
    };
  },
  setNamespaceLabels: (of) => {
    const fields = object(of, ['namespace', 'labels']);
    return {
      do: 'setNamespaceLabels',
      namespace: text(fields.need('namespace')),
      labels: labels(fields.need('labels')),
    };
  },
  deleteNamespace: (of) => ({
    do: 'deleteNamespace',
    namespace: text(object(of, ['namespace']).need('namespace')),
  }),
  createPod: (of) => {
    const { inside, ns, name } = podOf(of, ['labels', 'ip4', 'ip6', 'ports']);
    return { do: 'createPod', pod: asPod(ns, name, inside, portList(inside.get('ports'))) };
  },
  setPodLabels: (of) => {
    const { inside, ns, name } = podOf(of, ['labels']);
    return { do: 'setPodLabels', pod: podKey({ ns, name }), labels: podLabels(inside.need('labels')) };
  },
  deletePod: (of) => {
    const { ns, name } = podOf(of, []);
    return { do: 'deletePod', pod: podKey({ ns, name }) };
  },
};
const ACTIONS = Object.keys(READERS) as Action['do'][];

const action = (of: Value, state: State): Action => {
  const fields = object(of, ACTIONS);
  const written = ACTIONS.filter((name) => fields.get(name) !== undefined);
  const [name] = written;
  if (name === undefined || written.length > 1) {
    return wrong(of, `must have exactly one of ${ACTIONS.join(', ')}`, 'make each an element of its own');
  }
  const value = fields.need(name);
  const read = READERS[name](value, state);
  const problem = apply(state, read);
  return problem === undefined ? read : wrong(value, problem, 'correct the order of the actions');
};

interface Counted {
  readonly expected: Expected[];
  readonly skipped: Map<string, number>;
}

const ICMP_FAMILY: Readonly<Partial<Record<Protocol, Family>>> = { ICMP: 4, ICMPv6: 6 };

const rows = (of: Value, endpoints: readonly string[], state: State, into: Counted): void => {
  const fields = object(of, ['protocol', 'port', 'family', 'view', 'rows']);
  const protocol = oneOf(fields.need('protocol'), PROTOCOLS);
  const number = protocol.startsWith('ICMP') ? integer(fields.need('port'), 0, 255) : port(fields.need('port'));
  const family = fields.get('family');
  const view = viewOf(fields);
  const only = ICMP_FAMILY[protocol];
  const families = FAMILIES[family ? oneOf(family, ['any', 'ipv4', 'ipv6'] as const) : 'any'].filter(
    (one) => only === undefined || only === one,
  );
  const lines = list(fields.need('rows'));
  if (lines.length !== endpoints.length) {
    wrong(fields.need('rows'), `has ${lines.length} rows for ${endpoints.length} endpoints`, 'one row per endpoint');
  }
  for (const [i, line] of lines.entries()) {
    const marks = text(line);
    if (marks.length !== endpoints.length || !/^[01*]*$/.test(marks)) {
      wrong(line, `must be ${endpoints.length} of 0, 1 and *, one per endpoint`, 'correct the row');
    }
    for (const [j, mark] of [...marks].entries()) {
      if (mark === '*') continue;
      const [from = '', to = ''] = [endpoints[i], endpoints[j]];
      for (const end of [from, to]) {
        if (!state.pods.has(end) && !state.externals.has(end))
          wrong(line, `there is no ${end} at this point`, 'write *');
      }
      const asked = families.filter((one) => addressOf(state, from, one) && addressOf(state, to, one));
      if (asked.length === 0) {
        const why = 'the ends have no addresses of that family';
        into.skipped.set(why, (into.skipped.get(why) ?? 0) + 1);
      }
      for (const one of asked) {
        const cell = { from, to, protocol, port: number, family: one, ...view };
        into.expected.push({ cell, want: mark === '1' ? 'allow' : 'drop' });
      }
    }
  }
};

const step = (of: Value, state: State): Step => {
  const fields = object(of, ['name', 'actions', 'endpoints', 'expect']);
  const written = fields.get('actions');
  const actions = written ? list(written).map((one) => action(one, state)) : [];
  const into: Counted = { expected: [], skipped: new Map() };
  const expect = fields.get('expect');
  if (!expect && actions.length === 0) wrong(of, 'has neither actions nor expect', 'add one of them');
  if (expect) {
    const endpoints = list(fields.need('endpoints')).map(text);
    for (const one of list(expect)) rows(one, endpoints, state, into);
  }
  return { actions, ...into };
};

export const MATRIX_FIELDS = ['name', 'tags', 'layout', 'steps'];

export const matrixCase = (of: Value, index: number): Case => {
  const fields = object(of, MATRIX_FIELDS);
  const name = fields.get('name');
  const tags = fields.get('tags');
  const state = layout(fields.need('layout'));
  const world = createState(state);
  return {
    name: name ? text(name) : `case ${index + 1}`,
    tags: tags ? list(tags).map(text) : [],
    world,
    steps: list(fields.need('steps')).map((one) => step(one, state)),
    replay: { cases: [of.value] },
  };
};
