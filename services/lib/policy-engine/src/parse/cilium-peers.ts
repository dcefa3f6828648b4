// SPDX-License-Identifier: Apache-2.0
/**
 * Peers of Cilium rules: at most one kind per element. An absent list is everyone, a present and empty one nobody. Selectors in
 * a namespaced policy stay in its namespace unless they name a namespace themselves; in a cluster-wide policy they match
 * managed endpoints only. Selectors on reserved labels are taken as they are.
 */
import { NAMESPACE_LABEL, NAMESPACE_LABELS_PREFIX } from '../constants.ts';
import { ANY_SOURCE } from '../labels.ts';
import type { Direction, Entity, Peer } from '../model.ts';
import { createSelector, type Requirement, requireKey, requireLabel, type Selector } from '../selector.ts';
import { readCidr, readExcept } from './cidr.ts';
import { DNS_SUBDOMAIN_RULE, isDnsSubdomain } from './names.ts';
import { type Context, type Field, type Fields, missing, readList, readObject, readString } from './reader.ts';
import { readRequirements } from './selector.ts';

export const CILIUM_SYNTAX = { sources: true, source: ANY_SOURCE };

const ENTITIES: readonly (Entity | 'cluster-mesh')[] = [
  'all',
  'world',
  'world-ipv4',
  'world-ipv6',
  'cluster',
  'cluster-mesh',
  'host',
  'init',
  'ingress',
  'unmanaged',
  'remote-node',
  'health',
  'none',
  'kube-apiserver',
];

export interface CiliumScope {
  /** Absent in cluster-wide policies. */
  readonly namespace?: string;
  /** The subject's selector names reserved:init, whose endpoints have no namespace. */
  readonly selectsInit: boolean;
  /** The subject are hosts. */
  readonly onHosts?: boolean;
}

const isOfNamespace = ({ source, key }: Requirement): boolean =>
  (source === 'k8s' || source === ANY_SOURCE) && (key === NAMESPACE_LABEL || key.startsWith(NAMESPACE_LABELS_PREFIX));

/**
 * What a selector means besides what it says. Every managed endpoint has a namespace label and nobody else does, so requiring
 * one keeps `NotIn` and `DoesNotExist` from reaching hosts and the outside, which lack every label.
 */
const scopeRequirements = (written: readonly Requirement[], scope: CiliumScope): Requirement[] => {
  if (written.some((requirement) => requirement.source === 'reserved')) return [];
  if (scope.namespace === undefined) return scope.selectsInit ? [] : [requireKey('k8s', NAMESPACE_LABEL)];
  if (written.some(isOfNamespace)) return [requireKey('k8s', NAMESPACE_LABEL)];
  return [requireLabel('k8s', NAMESPACE_LABEL, scope.namespace)];
};

const readEndpoint = (context: Context, field: Field, scope: CiliumScope): Peer | undefined => {
  const written = readRequirements(context, field, CILIUM_SYNTAX);
  if (!written) return undefined;
  const selector: Selector = createSelector([...scopeRequirements(written, scope), ...written]);
  if (selector.requirements.length === 0) return { kind: 'entity', path: field.path, entity: 'all' };
  return { kind: 'selector', path: field.path, selector };
};

const readEntity = (context: Context, field: Field): Peer | undefined => {
  const name = readString(context, field);
  if (name === undefined) return undefined;
  // There is one cluster, this fleet.
  if (name === 'cluster-mesh') return { kind: 'entity', path: field.path, entity: 'cluster' };
  if ((ENTITIES as readonly string[]).includes(name))
    return { kind: 'entity', path: field.path, entity: name as Entity };
  context.issues.add(field.path, field.node.at, `${JSON.stringify(name)} is not an entity`, {
    value: name,
    fix: `use one of ${ENTITIES.join(', ')}`,
  });
  return undefined;
};

const readCidrPeer = (context: Context, field: Field): Peer | undefined => {
  const cidr = readCidr(context, field, true);
  return cidr && { kind: 'cidr', path: field.path, cidr, except: [], ipBlock: false };
};

const CIDR_SHAPE = {
  fields: ['cidr', 'except', 'cidrGroupRef', 'cidrGroupSelector'],
  widens: { except: 'that nothing is excepted' },
};

const readGroup = (context: Context, set: Fields): Peer | undefined => {
  const ref = set.get('cidrGroupRef');
  const selector = set.get('cidrGroupSelector');
  if (ref && selector) {
    context.issues.add(selector.path, selector.keyAt, 'cidrGroupSelector cannot stand beside cidrGroupRef', {
      fix: 'make it an element of its own',
    });
  }
  if (selector) {
    const requirements = readRequirements(context, selector, { sources: false, source: ANY_SOURCE });
    return requirements && { kind: 'group', path: set.path, selector: createSelector(requirements) };
  }
  const group = ref && readString(context, ref);
  if (!ref || group === undefined) return undefined;
  if (isDnsSubdomain(group)) return { kind: 'group', path: set.path, group };
  context.issues.add(ref.path, ref.node.at, `${JSON.stringify(group)} is not a valid name`, {
    value: group,
    fix: DNS_SUBDOMAIN_RULE,
  });
  return undefined;
};

const readCidrSet = (context: Context, field: Field): Peer | undefined => {
  const set = readObject(context, field, CIDR_SHAPE);
  if (!set) return undefined;
  const group = set.get('cidrGroupRef') ?? set.get('cidrGroupSelector');
  const cidrField = set.get('cidr');
  const exceptField = set.get('except');
  if (group && cidrField) {
    context.issues.add(group.path, group.keyAt, 'cidr cannot stand beside a CIDR group', {
      fix: 'make it an element of its own',
    });
  }
  if (group && exceptField) {
    context.issues.add(exceptField.path, exceptField.keyAt, 'except cannot stand beside a CIDR group', {
      fix: 'remove except',
    });
  }
  if (group) return readGroup(context, set);
  if (!cidrField) {
    context.issues.add(`${field.path}.cidr`, field.node.at, 'cidr is required', {
      fix: 'write a prefix, such as 10.0.0.0/8, or cidrGroupRef',
    });
    return undefined;
  }
  const cidr = readCidr(context, cidrField, false);
  const except = readExcept(context, exceptField, cidr, false);
  return cidr && { kind: 'cidr', path: field.path, cidr, except, ipBlock: false };
};

/** fromNodes, toNodes: hosts by their own labels. */
const readNode = (context: Context, field: Field, { onHosts }: CiliumScope): Peer | undefined => {
  const requirements = readRequirements(context, field, { sources: false, source: ANY_SOURCE });
  if (onHosts) return notOnHosts(context, field);
  return requirements && { kind: 'group', of: 'node', path: field.path, selector: createSelector(requirements) };
};

/** What is confirmed and kept of a host's own policy (its bundle) does not know the fleet. */
const notOnHosts = (context: Context, field: Field): undefined => {
  context.issues.add(field.path, field.node.at, 'hosts and services as peers of a host are not supported yet', {
    fix: 'use toCIDR, fromCIDR or entities',
  });
};

const readServiceName = (context: Context, service: Field, scope: CiliumScope): Peer | undefined => {
  const fields = readObject(context, service, { fields: ['serviceName', 'namespace'] });
  const nameField = fields?.get('serviceName');
  const namespaceField = fields?.get('namespace');
  if (!fields) return undefined;
  if (!nameField) return missing(context, fields, 'serviceName', 'name a service of the registry');
  const name = readString(context, nameField);
  const namespace = namespaceField ? readString(context, namespaceField) : scope.namespace;
  if (namespace === undefined && !namespaceField) {
    return missing(context, fields, 'namespace', 'name the namespace of the service: the policy has none');
  }
  for (const [field, text] of [
    [nameField, name],
    [namespaceField, namespace],
  ] as const) {
    if (!field || text === undefined || isDnsSubdomain(text)) continue;
    context.issues.add(field.path, field.node.at, `${JSON.stringify(text)} is not a valid name`, {
      value: text,
      fix: DNS_SUBDOMAIN_RULE,
    });
  }
  return { kind: 'group', of: 'service', path: service.path, group: `${namespace}/${name}` };
};

const readServiceSelector = (context: Context, service: Field): Peer | undefined => {
  const fields = readObject(context, service, { fields: ['selector', 'namespace'] });
  const selector = fields?.get('selector');
  if (!fields) return undefined;
  if (!selector) return missing(context, fields, 'selector', 'write matchLabels or matchExpressions');
  const namespaceField = fields.get('namespace');
  const namespace = namespaceField && readString(context, namespaceField);
  const requirements = readRequirements(context, selector, { sources: false, source: ANY_SOURCE });
  return (
    requirements && {
      ...{ kind: 'group', of: 'service', path: service.path, selector: createSelector(requirements) },
      ...(namespace ? { namespace } : {}),
    }
  );
};

/** toServices: backends of services of the registry. */
const readService = (context: Context, field: Field, scope: CiliumScope): Peer | undefined => {
  const fields = readObject(context, field, { fields: ['k8sService', 'k8sServiceSelector'] });
  if (!fields) return undefined;
  if (scope.onHosts) return notOnHosts(context, field);
  const [byName, bySelector] = [fields.get('k8sService'), fields.get('k8sServiceSelector')];
  if (byName && bySelector) {
    context.issues.add(bySelector.path, bySelector.keyAt, 'k8sServiceSelector cannot stand beside k8sService', {
      fix: 'make it an element of its own',
    });
  }
  if (byName) return readServiceName(context, byName, scope);
  if (bySelector) return readServiceSelector(context, bySelector);
  return missing(context, fields, 'k8sService', 'write k8sService or k8sServiceSelector');
};

type ReadPeer = (context: Context, field: Field, scope: CiliumScope) => Peer | undefined;

const KINDS: Readonly<Record<Direction, Readonly<Record<string, ReadPeer>>>> = {
  ingress: {
    fromEndpoints: readEndpoint,
    fromCIDR: readCidrPeer,
    fromCIDRSet: readCidrSet,
    fromEntities: readEntity,
    fromNodes: readNode,
  },
  egress: {
    toEndpoints: readEndpoint,
    toCIDR: readCidrPeer,
    toCIDRSet: readCidrSet,
    toEntities: readEntity,
    toNodes: readNode,
    toServices: readService,
  },
};

export const peerFields = (direction: Direction): string[] => Object.keys(KINDS[direction]);

export const readPeers = (
  context: Context,
  rule: Fields,
  direction: Direction,
  scope: CiliumScope,
): 'any' | readonly Peer[] => {
  const lists = Object.entries(KINDS[direction]).flatMap(([name, read]) => {
    const field = rule.get(name);
    return field ? [{ name, read, field, items: readList(context, field) ?? [] }] : [];
  });
  if (lists.length === 0) return 'any';
  const filled = lists.filter(({ items }) => items.length > 0);
  const [first, second] = filled;
  if (first && second) {
    context.issues.add(second.field.path, second.field.keyAt, `${second.name} cannot stand beside ${first.name}`, {
      fix: 'make it an element of its own',
    });
  }
  const peers = filled.flatMap(({ items, read }) => items.map((item) => read(context, item, scope)));
  return filled.length < lists.length ? [] : peers.filter((peer) => peer !== undefined);
};
