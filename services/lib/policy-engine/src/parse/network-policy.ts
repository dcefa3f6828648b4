// SPDX-License-Identifier: Apache-2.0
/**
 * Kubernetes NetworkPolicy (networking.k8s.io/v1). Its particular meanings: an absent or empty `from`/`to` is everyone, absent
 * or empty `ports` every port; a policy isolates for Ingress unless policyTypes says otherwise, and for Egress when it has egress
 * rules; `ipBlock` also matches workloads by their address.
 */
import { PROTOCOLS } from '@weir/net';
import { NAMESPACE_LABEL, NAMESPACE_LABELS_PREFIX } from '../constants.ts';
import type { Direction, L4, Peer, PolicySpec, Rule } from '../model.ts';
import { isServiceName, LAST_PORT } from '../ports.ts';
import { createSelector, type Requirement, requireKey, requireLabel } from '../selector.ts';
import { readCidr, readExcept } from './cidr.ts';
import {
  type Context,
  type Field,
  type Fields,
  missing,
  readInteger,
  readList,
  readObject,
  readOneOf,
  scalarOf,
} from './reader.ts';
import { readRequirements } from './selector.ts';

export const POD_SYNTAX = { sources: false, source: 'k8s' };
export const NAMESPACE_SYNTAX = { sources: false, source: 'k8s', keyPrefix: NAMESPACE_LABELS_PREFIX };

const readIpBlock = (context: Context, field: Field): Peer | undefined => {
  const block = readObject(context, field, { fields: ['cidr', 'except'] });
  if (!block) return undefined;
  const cidrField = block.get('cidr');
  const cidr = cidrField
    ? readCidr(context, cidrField, false)
    : missing(context, block, 'cidr', 'write a prefix, such as 10.0.0.0/8');
  const except = readExcept(context, block.get('except'), cidr, true);
  return cidr && { kind: 'cidr', path: field.path, cidr, except, ipBlock: true };
};

const readPeer = (context: Context, field: Field, namespace: string): Peer | undefined => {
  const peer = readObject(context, field, { fields: ['podSelector', 'namespaceSelector', 'ipBlock'] });
  if (!peer) return undefined;
  const pods = peer.get('podSelector');
  const namespaces = peer.get('namespaceSelector');
  const block = peer.get('ipBlock');
  if (block) {
    if (pods || namespaces) {
      context.issues.add(
        block.path,
        block.keyAt,
        `ipBlock cannot stand beside ${pods ? 'podSelector' : 'namespaceSelector'}`,
        {
          fix: 'make it an element of its own',
        },
      );
    }
    return readIpBlock(context, block);
  }
  if (!pods && !namespaces) {
    context.issues.add(field.path, field.node.at, 'names no peer', {
      fix: 'write podSelector, namespaceSelector or ipBlock',
    });
    return undefined;
  }
  const requirements: Requirement[] = [];
  if (namespaces) {
    requirements.push(requireKey('k8s', NAMESPACE_LABEL));
    requirements.push(...(readRequirements(context, namespaces, NAMESPACE_SYNTAX) ?? []));
  } else requirements.push(requireLabel('k8s', NAMESPACE_LABEL, namespace));
  if (pods) requirements.push(...(readRequirements(context, pods, POD_SYNTAX) ?? []));
  return { kind: 'selector', path: field.path, selector: createSelector(requirements) };
};

export const readPortName = (context: Context, field: Field, text: string): string | undefined => {
  if (isServiceName(text) && text === text.toLowerCase()) return text;
  const digits = /^[0-9]+$/.test(text);
  context.issues.add(field.path, field.node.at, `${JSON.stringify(text)} is not a port name`, {
    value: text,
    fix: digits
      ? `write ${Number(text)} without quotes`
      : 'use at most 15 lower-case letters, digits and "-", with a letter in it',
  });
  return undefined;
};

const readPort = (context: Context, field: Field): L4 | undefined => {
  const item = readObject(context, field, { fields: ['protocol', 'port', 'endPort'] });
  if (!item) return undefined;
  const protocolField = item.get('protocol');
  const name = protocolField ? readOneOf(context, protocolField, ['TCP', 'UDP', 'SCTP'] as const) : 'TCP';
  const protocol = PROTOCOLS[name ?? 'TCP'];
  const portField = item.get('port');
  const endField = item.get('endPort');
  const end = endField ? readInteger(context, endField, 1, LAST_PORT) : undefined;
  if (!portField) {
    if (endField)
      context.issues.add(endField.path, endField.keyAt, 'endPort needs port', { fix: 'add port, or remove endPort' });
    return { kind: 'range', protocol, first: 0, last: LAST_PORT };
  }
  const value = scalarOf(portField.node);
  if (typeof value === 'string') {
    if (endField) {
      context.issues.add(endField.path, endField.keyAt, 'endPort needs a numeric port', {
        value: end,
        fix: `write ${portField.path.slice(portField.path.lastIndexOf('.') + 1)} as a number, or remove endPort`,
      });
    }
    const portName = readPortName(context, portField, value);
    return portName === undefined ? undefined : { kind: 'named', protocol, name: portName };
  }
  const first = readInteger(context, portField, 1, LAST_PORT);
  if (first === undefined) return undefined;
  if (end !== undefined && endField && end < first) {
    context.issues.add(endField.path, endField.node.at, `endPort ${end} is below port ${first}`, {
      value: end,
      fix: `use ${first} or more`,
    });
  }
  return { kind: 'range', protocol, first, last: end ?? first };
};

const present = <T>(value: T | undefined): value is T => value !== undefined;

const readRule = (context: Context, field: Field, direction: Direction, namespace: string): Rule | undefined => {
  const peersName = direction === 'ingress' ? 'from' : 'to';
  const rule = readObject(context, field, { fields: [peersName, 'ports'] });
  if (!rule) return undefined;
  const peersField = rule.get(peersName);
  const peers = peersField ? (readList(context, peersField) ?? []) : [];
  const portsField = rule.get('ports');
  const ports = portsField ? (readList(context, portsField) ?? []) : [];
  const read = peers.map((peer) => readPeer(context, peer, namespace)).filter(present);
  const l4 = ports.map((port) => readPort(context, port)).filter(present);
  const block = read.find(({ kind }) => kind === 'cidr');
  if (direction === 'egress' && block && l4.some(({ kind }) => kind === 'named')) {
    context.warnings.add(
      'name-of-block',
      block.path,
      field.node.at,
      'a port name is that of a selected workload, so it matches nothing that only an ipBlock selects',
      'write port numbers beside ipBlock',
    );
  }
  return {
    path: field.path,
    direction,
    action: 'allow',
    peers: peers.length === 0 ? 'any' : read,
    l4: ports.length === 0 ? 'any' : l4,
    position: context.issues.locate(field.node.at),
  };
};

const readPolicyTypes = (context: Context, spec: Fields): { ingress: boolean; egress: boolean } => {
  const types = spec.get('policyTypes');
  const items = types ? (readList(context, types) ?? []) : [];
  const egressRules = spec.get('egress');
  const hasEgress = egressRules?.node.kind === 'list' && egressRules.node.items.length > 0;
  if (items.length === 0) return { ingress: true, egress: hasEgress };
  if (types && items.length > 2) {
    context.issues.add(types.path, types.node.at, 'names more than two policy types', {
      fix: 'write [Ingress, Egress]',
    });
  }
  const named = items.map((item) => readOneOf(context, item, ['Ingress', 'Egress'] as const));
  const found = { ingress: named.includes('Ingress'), egress: named.includes('Egress') };
  for (const direction of ['ingress', 'egress'] as const) {
    const section = spec.get(direction);
    if (!section || found[direction]) continue;
    const type = direction === 'ingress' ? 'Ingress' : 'Egress';
    const message = `${direction} rules are ignored, because policyTypes does not name ${type}`;
    context.warnings.add('section-ignored', section.path, section.keyAt, message, `add ${type} to policyTypes`);
  }
  return found;
};

export const readNetworkPolicySpec = (context: Context, field: Field, namespace: string): PolicySpec | undefined => {
  const spec = readObject(context, field, { fields: ['podSelector', 'policyTypes', 'ingress', 'egress'] });
  if (!spec) return undefined;
  const pods = spec.get('podSelector');
  const requirements = [
    requireLabel('k8s', NAMESPACE_LABEL, namespace),
    ...(pods ? (readRequirements(context, pods, POD_SYNTAX) ?? []) : []),
  ];
  const defaultDeny = readPolicyTypes(context, spec);
  const rules = (['ingress', 'egress'] as const).flatMap((direction) => {
    const section = spec.get(direction);
    const items = section ? (readList(context, section) ?? []) : [];
    const read = items.map((item) => readRule(context, item, direction, namespace)).filter(present);
    return defaultDeny[direction] ? read : [];
  });
  return {
    path: field.path,
    subject: createSelector(requirements),
    tier: 'Normal',
    priority: 0,
    defaultDeny,
    rules,
    position: context.issues.locate(field.keyAt),
  };
};
