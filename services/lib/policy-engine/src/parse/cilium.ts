// SPDX-License-Identifier: Apache-2.0
/**
 * CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy (cilium.io/v2). A direction that has a section becomes default-deny,
 * unless enableDefaultDeny says no for it. An empty element (`- {}`) is a rule without conditions: any peer, any port.
 */
import { NAMESPACE_LABEL } from '../constants.ts';
import type { Action, Direction, PolicySpec, Rule } from '../model.ts';
import { createSelector, requireLabel } from '../selector.ts';
import { readAuthentication, readFqdns } from './cilium-l7.ts';
import { CILIUM_SYNTAX, type CiliumScope, peerFields, readPeers } from './cilium-peers.ts';
import { L4_FIELDS, readL4 } from './cilium-ports.ts';
import {
  type Context,
  type Field,
  type Fields,
  missing,
  NOT_YET,
  readBoolean,
  readList,
  readObject,
  readString,
  type Shape,
} from './reader.ts';
import { readRequirements } from './selector.ts';

interface Section {
  readonly name: string;
  readonly direction: Direction;
  readonly action: Action;
  readonly shape: Shape;
}

const REMOVED = 'is not supported (removed in Cilium 1.19)';
const DENIED = 'is not allowed in a deny rule';

const each = (names: readonly string[], meaning: string): Readonly<Record<string, string>> =>
  Object.fromEntries(names.map((name) => [name, meaning]));

const OTHER_PEERS: Readonly<Record<Direction, readonly string[]>> = {
  ingress: ['fromGroups'],
  egress: ['toGroups', 'toFQDNs'],
};

/**
 * The API server and Go read `null` as absent too, so upstream `fromEndpoints:` with nothing behind it lets everybody in. Who
 * means that leaves the key out; who does not is told.
 */
const shapeOf = (
  direction: Direction,
  unsupported: Readonly<Record<string, string>>,
  more: readonly string[] = [],
): Shape => ({
  fields: [...more, ...peerFields(direction), ...L4_FIELDS].filter((name) => !Object.hasOwn(unsupported, name)),
  unsupported,
  widens: {
    ...each([...peerFields(direction), ...OTHER_PEERS[direction]], 'any peer'),
    ...each(L4_FIELDS, 'any port'),
  },
});

const FROM = { fromGroups: NOT_YET, fromRequires: REMOVED };
const TO = { toGroups: NOT_YET, toRequires: REMOVED };

const SECTIONS: readonly Section[] = [
  {
    name: 'ingress',
    direction: 'ingress',
    action: 'allow',
    shape: shapeOf('ingress', { ...FROM, authentication: NOT_YET }),
  },
  {
    name: 'ingressDeny',
    direction: 'ingress',
    action: 'deny',
    shape: shapeOf('ingress', { ...FROM, authentication: DENIED }),
  },
  {
    name: 'egress',
    direction: 'egress',
    action: 'allow',
    shape: shapeOf('egress', { ...TO, toFQDNs: NOT_YET, authentication: NOT_YET }),
  },
  {
    name: 'egressDeny',
    direction: 'egress',
    action: 'deny',
    shape: shapeOf('egress', { ...TO, toServices: DENIED, toFQDNs: DENIED, authentication: DENIED }),
  },
];

/** A section for rules of that action that have these fields, too. A pass may say what an allow may. */
export const sectionOf = (direction: Direction, action: Action, more: readonly string[]): Section => {
  const like = SECTIONS.find(
    (one) => one.direction === direction && one.action === (action === 'deny' ? 'deny' : 'allow'),
  );
  return { name: direction, direction, action, shape: shapeOf(direction, like?.shape.unsupported ?? {}, more) };
};

const SPEC: Shape = {
  fields: [
    'endpointSelector',
    'nodeSelector',
    'ingress',
    'ingressDeny',
    'egress',
    'egressDeny',
    'enableDefaultDeny',
    'labels',
    'description',
    'log',
  ],
  widens: {
    ...each(['ingress', 'egress'], 'that this direction is not isolated'),
    ...each(['ingressDeny', 'egressDeny'], 'that nothing is denied'),
  },
};

export const readSectionRule = (
  context: Context,
  field: Field,
  section: Section,
  scope: CiliumScope,
): Rule | undefined => {
  const rule = readObject(context, field, section.shape);
  if (!rule) return undefined;
  const { direction, action } = section;
  const peers = readPeers(context, rule, direction, scope);
  const l4 = readL4(context, rule, action === 'deny', { direction, onHosts: scope.onHosts === true });
  const names = rule.get('toFQDNs');
  if (names && action !== 'deny') readFqdns(context, names);
  const authentication = rule.get('authentication');
  if (authentication && action !== 'deny') readAuthentication(context, authentication);
  const unconditional = field.node.kind === 'map' && field.node.entries.size === 0;
  if (unconditional && action === 'allow') {
    context.warnings.add(
      'allows-everything',
      field.path,
      field.node.at,
      `{} allows any peer on any port`,
      `write ${direction === 'ingress' ? 'fromEndpoints' : 'toEndpoints'}: [] for default deny without an allowed peer`,
    );
  }
  return { path: field.path, direction, action, peers, l4, position: context.issues.locate(field.node.at) };
};

const LOG_MAX = 32;

const checkLabels = (context: Context, field: Field): void => {
  for (const item of readList(context, field) ?? []) {
    const label = readObject(context, item, { fields: ['key', 'value', 'source'] });
    if (!label) continue;
    if (!label.get('key')) missing(context, label, 'key', 'name a label key');
    for (const name of ['key', 'value', 'source']) {
      const part = label.get(name);
      if (part) readString(context, part);
    }
  }
};

/** `log: {value}`, as Cilium bounds it. */
export const readLog = (context: Context, spec: Fields): string | undefined => {
  const field = spec.get('log');
  const value = field && readObject(context, field, { fields: ['value'] })?.get('value');
  const text = value && readString(context, value);
  if (value === undefined || text === undefined) return undefined;
  if (text.length <= LOG_MAX && !/\p{C}/u.test(text)) return text;
  context.issues.add(value.path, value.node.at, `must have ${LOG_MAX} characters at most, all of them printable`, {
    value: text.slice(0, 100),
    fix: 'shorten it, or leave out what nobody can see',
  });
  return undefined;
};

export const readDefaultDeny = (context: Context, spec: Fields): { ingress?: boolean; egress?: boolean } => {
  const field = spec.get('enableDefaultDeny');
  const written = field && readObject(context, field, { fields: ['ingress', 'egress'] });
  const read = (direction: Direction): boolean | undefined => {
    const part = written?.get(direction);
    return part && readBoolean(context, part);
  };
  return { ingress: read('ingress'), egress: read('egress') };
};

/** Whom a policy is for: everybody it selects, in its namespace if it has one. */
export const readEndpointSelector = (
  context: Context,
  field: Field | undefined,
  namespace: string | undefined,
): PolicySpec['subject'] => {
  const written = (field && readRequirements(context, field, CILIUM_SYNTAX)) ?? [];
  return createSelector(
    namespace === undefined ? written : [requireLabel('k8s', NAMESPACE_LABEL, namespace), ...written],
  );
};

export interface ReadSubject {
  readonly subject: PolicySpec['subject'];
  readonly onHosts: boolean;
}

/** Of a document that is for endpoints or for hosts; `clusterwide`: what to write to be for hosts. */
export const readSubject = (
  context: Context,
  spec: Fields,
  namespace: string | undefined,
  clusterwide: string,
): ReadSubject => {
  const endpoints = spec.get('endpointSelector');
  const nodes = spec.get('nodeSelector');
  if (nodes && endpoints) {
    context.issues.add(nodes.path, nodes.keyAt, 'nodeSelector cannot stand beside endpointSelector', {
      fix: 'keep one of them',
    });
  }
  if (nodes && namespace !== undefined) {
    context.issues.add(nodes.path, nodes.keyAt, 'nodeSelector is for cluster-wide policies only', { fix: clusterwide });
  }
  if (!nodes && !endpoints) {
    missing(context, spec, 'endpointSelector', 'write endpointSelector: {} for every endpoint in scope');
    return { subject: createSelector([]), onHosts: false };
  }
  return nodes
    ? { subject: readEndpointSelector(context, nodes, undefined), onHosts: true }
    : { subject: readEndpointSelector(context, endpoints, namespace), onHosts: false };
};

export const readCiliumSpec = (
  context: Context,
  field: Field,
  namespace: string | undefined,
): PolicySpec | undefined => {
  const spec = readObject(context, field, SPEC);
  if (!spec) return undefined;
  const { subject, onHosts } = readSubject(context, spec, namespace, 'use kind CiliumClusterwideNetworkPolicy');
  const selectsInit = subject.requirements.some(({ source, key }) => source === 'reserved' && key === 'init');
  const scope: CiliumScope = {
    selectsInit,
    onHosts,
    ...(namespace === undefined ? {} : { namespace }),
  };
  const rules: Rule[] = [];
  const present = { ingress: false, egress: false };
  for (const section of SECTIONS) {
    const list = spec.get(section.name);
    for (const item of list ? (readList(context, list) ?? []) : []) {
      present[section.direction] = true;
      const rule = readSectionRule(context, item, section, scope);
      if (rule) rules.push(rule);
    }
  }
  if (!present.ingress && !present.egress) {
    context.issues.add(field.path, field.keyAt, 'has no rules', {
      fix: 'add at least one element to ingress, ingressDeny, egress or egressDeny',
    });
  }
  const written = readDefaultDeny(context, spec);
  const labels = spec.get('labels');
  if (labels) checkLabels(context, labels);
  const descriptionField = spec.get('description');
  const description = descriptionField && readString(context, descriptionField);
  const log = readLog(context, spec);
  return {
    path: field.path,
    subject,
    ...(onHosts ? { onHosts } : {}),
    tier: 'Normal',
    priority: 0,
    defaultDeny: {
      ingress: present.ingress && written.ingress !== false,
      egress: present.egress && written.egress !== false,
    },
    rules,
    ...(description === undefined ? {} : { description }),
    ...(log ? { log } : {}),
    position: context.issues.locate(field.keyAt),
  };
};
