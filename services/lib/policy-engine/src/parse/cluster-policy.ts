// SPDX-License-Identifier: Apache-2.0
/**
 * ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2). Rules are a list in order, of the tier Admin, before everybody
 * else's, or Baseline, behind them. `networks` also match workloads by their address. What is not enforced yet (nodes,
 * domainNames) is refused by name: upstream it would match nobody, or deny.
 */
import { PROTOCOLS } from '@weir/net';
import { NAMESPACE_LABEL } from '../constants.ts';
import type { Action, Direction, L4, Peer, PolicySpec, Rule } from '../model.ts';
import { LAST_PORT } from '../ports.ts';
import { createSelector, type Requirement, requireKey, type Selector } from '../selector.ts';
import { readCidr } from './cidr.ts';
import { NAMESPACE_SYNTAX, POD_SYNTAX, readPortName } from './network-policy.ts';
import {
  type Context,
  type Field,
  type Fields,
  missing,
  NOT_YET,
  readInteger,
  readList,
  readObject,
  readOneOf,
  readString,
} from './reader.ts';
import { readRequirements } from './selector.ts';

const MOST = 25;
const MAX_NAME = 100;
const ACTIONS = { Accept: 'allow', Deny: 'deny', Pass: 'pass' } as const satisfies Record<string, Action>;
const TRANSPORTS = { tcp: PROTOCOLS.TCP, udp: PROTOCOLS.UDP, sctp: PROTOCOLS.SCTP } as const;

/** The only one of these fields that is there; it says when that is none or several. */
const onlyOne = (
  context: Context,
  fields: Fields,
  names: readonly string[],
  what: string,
): [string, Field] | undefined => {
  const found = names.flatMap((name): [string, Field][] => {
    const field = fields.get(name);
    return field ? [[name, field]] : [];
  });
  const [first, second] = found;
  if (second) {
    context.issues.add(second[1].path, second[1].keyAt, `${second[0]} cannot stand beside ${first?.[0]}`, {
      fix: 'make it an element of its own',
    });
  }
  if (!first) context.issues.add(fields.path, fields.at, `names no ${what}`, { fix: `write ${names.join(' or ')}` });
  return first;
};

const bounded = (context: Context, field: Field | undefined, what: string): Field[] => {
  const items = field ? (readList(context, field) ?? []) : [];
  if (field && items.length > MOST) {
    context.issues.add(field.path, field.node.at, `has ${items.length} ${what}, more than ${MOST}`, {
      value: items.length,
      fix: 'split it',
    });
  }
  return items;
};

const inNamespaces = (context: Context, field: Field): Requirement[] => [
  requireKey('k8s', NAMESPACE_LABEL),
  ...(readRequirements(context, field, NAMESPACE_SYNTAX) ?? []),
];

const readPods = (context: Context, field: Field): Selector => {
  const pods = readObject(context, field, { fields: ['namespaceSelector', 'podSelector'] });
  const requirements: Requirement[] = [requireKey('k8s', NAMESPACE_LABEL)];
  if (pods) {
    const namespaces = pods.get('namespaceSelector') ?? missing(context, pods, 'namespaceSelector', 'write {} for all');
    const labels = pods.get('podSelector') ?? missing(context, pods, 'podSelector', 'write {} for all');
    if (namespaces) requirements.push(...(readRequirements(context, namespaces, NAMESPACE_SYNTAX) ?? []));
    if (labels) requirements.push(...(readRequirements(context, labels, POD_SYNTAX) ?? []));
  }
  return createSelector(requirements);
};

const readSubject = (context: Context, spec: Fields): Selector => {
  const field = spec.get('subject') ?? missing(context, spec, 'subject', 'write subject: {namespaces: {}} for all');
  const subject = field && readObject(context, field, { fields: ['namespaces', 'pods'] });
  const [kind, one] = (subject && onlyOne(context, subject, ['namespaces', 'pods'], 'subject')) ?? [];
  if (!one) return createSelector([]);
  return kind === 'pods' ? readPods(context, one) : createSelector(inNamespaces(context, one));
};

const PEERS: Readonly<Record<Direction, readonly string[]>> = {
  ingress: ['namespaces', 'pods'],
  egress: ['namespaces', 'pods', 'networks'],
};

const readPeer = (context: Context, field: Field, direction: Direction): Peer[] => {
  const unsupported: Readonly<Record<string, string>> =
    direction === 'egress' ? { nodes: NOT_YET, domainNames: NOT_YET } : {};
  const peer = readObject(context, field, { fields: PEERS[direction], unsupported });
  if (!peer || Object.keys(unsupported).some((name) => peer.get(name))) return [];
  const [kind, one] = onlyOne(context, peer, PEERS[direction], 'peer') ?? [];
  if (!one) return [];
  if (kind !== 'networks') {
    const selector = kind === 'pods' ? readPods(context, one) : createSelector(inNamespaces(context, one));
    return [{ kind: 'selector', path: field.path, selector }];
  }
  return bounded(context, one, 'networks').flatMap((item): Peer[] => {
    const cidr = readCidr(context, item, false);
    return cidr ? [{ kind: 'cidr', path: item.path, cidr, except: [], ipBlock: true }] : [];
  });
};

const readPort = (context: Context, field: Field, protocol: number): L4[] => {
  const port = readObject(context, field, { fields: ['number', 'range'] });
  const [kind, one] = (port && onlyOne(context, port, ['number', 'range'], 'port')) ?? [];
  if (!one) return [];
  if (kind === 'number') {
    const first = readInteger(context, one, 1, LAST_PORT);
    return first === undefined ? [] : [{ kind: 'range', protocol, first, last: first }];
  }
  const range = readObject(context, one, { fields: ['start', 'end'] });
  const startField = range && (range.get('start') ?? missing(context, range, 'start', 'write the first port'));
  const endField = range && (range.get('end') ?? missing(context, range, 'end', 'write the last port'));
  const first = startField && readInteger(context, startField, 1, LAST_PORT);
  const last = endField && readInteger(context, endField, 1, LAST_PORT);
  if (first === undefined || last === undefined || !endField) return [];
  if (last >= first) return [{ kind: 'range', protocol, first, last }];
  context.issues.add(endField.path, endField.node.at, `end ${last} is below start ${first}`, {
    value: last,
    fix: `use ${first} or more`,
  });
  return [];
};

const PROTOCOL_FIELDS = [...Object.keys(TRANSPORTS), 'destinationNamedPort'];

const readProtocol = (context: Context, field: Field): L4[] => {
  const item = readObject(context, field, { fields: PROTOCOL_FIELDS });
  const [kind, one] = (item && onlyOne(context, item, PROTOCOL_FIELDS, 'protocol')) ?? [];
  if (!one) return [];
  if (kind === 'destinationNamedPort') {
    const text = readString(context, one);
    const name = text === undefined ? undefined : readPortName(context, one, text);
    // The name says which protocol, that of the port that is called so.
    return name === undefined
      ? []
      : Object.values(TRANSPORTS).map((protocol): L4 => ({ kind: 'named', protocol, name }));
  }
  const protocol = TRANSPORTS[kind as keyof typeof TRANSPORTS];
  const transport = readObject(context, one, { fields: ['destinationPort'] });
  const port = transport?.get('destinationPort');
  if (port) return readPort(context, port, protocol);
  return [{ kind: 'range', protocol, first: 0, last: LAST_PORT }];
};

const readRule = (context: Context, field: Field, direction: Direction): Rule | undefined => {
  const peersName = direction === 'ingress' ? 'from' : 'to';
  const rule = readObject(context, field, { fields: ['name', 'action', peersName, 'protocols'] });
  if (!rule) return undefined;
  const nameField = rule.get('name');
  const name = nameField && readString(context, nameField);
  if (nameField && name !== undefined && name.length > MAX_NAME) {
    context.issues.add(nameField.path, nameField.node.at, `has ${name.length} characters, more than ${MAX_NAME}`, {
      value: name,
      fix: 'shorten it',
    });
  }
  const actionField = rule.get('action') ?? missing(context, rule, 'action', 'write Accept, Deny or Pass');
  const action = actionField && readOneOf(context, actionField, Object.keys(ACTIONS) as (keyof typeof ACTIONS)[]);
  const peersField = rule.get(peersName);
  const items = bounded(context, peersField, 'peers');
  if (items.length === 0) {
    context.issues.add(`${field.path}.${peersName}`, peersField?.node.at ?? rule.at, `${peersName} names nobody`, {
      fix: `write ${peersName}: [{namespaces: {}}] for every workload`,
    });
  }
  const peers = items.flatMap((item) => readPeer(context, item, direction));
  const protocols = rule.get('protocols');
  const l4 = bounded(context, protocols, 'protocols').flatMap((item) => readProtocol(context, item));
  const block = peers.find(({ kind }) => kind === 'cidr');
  if (block && l4.some(({ kind }) => kind === 'named')) {
    const message = 'a port name is that of a selected workload, so it matches nothing that only a network selects';
    context.warnings.add('name-of-block', block.path, field.node.at, message, 'write port numbers beside networks');
  }
  if (!action) return undefined;
  return {
    path: field.path,
    direction,
    action: ACTIONS[action],
    peers,
    l4: protocols && protocols.node.kind === 'list' && protocols.node.items.length > 0 ? l4 : 'any',
    ...(name === undefined ? {} : { name }),
    position: context.issues.locate(field.node.at),
  };
};

export const readClusterPolicySpec = (context: Context, field: Field): PolicySpec | undefined => {
  const spec = readObject(context, field, { fields: ['tier', 'priority', 'subject', 'ingress', 'egress'] });
  if (!spec) return undefined;
  const tierField = spec.get('tier') ?? missing(context, spec, 'tier', 'write Admin or Baseline');
  const tier = tierField && readOneOf(context, tierField, ['Admin', 'Baseline'] as const);
  const priorityField =
    spec.get('priority') ?? missing(context, spec, 'priority', 'write 0 to 1000, the lower decides first');
  const priority = priorityField && readInteger(context, priorityField, 0, 1000);
  const subject = readSubject(context, spec);
  const rules = (['ingress', 'egress'] as const).flatMap((direction) =>
    bounded(context, spec.get(direction), 'rules').flatMap((item) => readRule(context, item, direction) ?? []),
  );
  if (!tier || priority === undefined) return undefined;
  return {
    path: field.path,
    subject,
    tier,
    priority,
    defaultDeny: { ingress: false, egress: false },
    rules,
    position: context.issues.locate(field.keyAt),
  };
};
