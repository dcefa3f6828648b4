// SPDX-License-Identifier: Apache-2.0
/**
 * A Kubernetes Service (v1) as a service of Weir, with the annotations of Cilium that say how it is balanced. What Kubernetes would
 * give by itself is given where somebody can have said that he wants it: a ClusterIP to type ClusterIP, node ports to type NodePort, an
 * address of a pool to type LoadBalancer.
 */
import { isIP } from 'node:net';
import type { Issues } from './issues.ts';
import { joinPath } from './located.ts';
import {
  type Context,
  type Field,
  type Fields,
  missing,
  readBoolean,
  readInteger,
  readList,
  readObject,
  readOneOf,
  readString,
  scalarOf,
} from './reader.ts';
import { type Places, place, type ServiceBody, type ServiceFrontendBody } from './service-body.ts';

const TYPES = ['ClusterIP', 'NodePort', 'LoadBalancer'] as const;
type Type = (typeof TYPES)[number];
const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;
const PORT_MAX = 65_535;
/** Of Kubernetes, seconds. */
const AFFINITY_S = 10_800;
const AFFINITY_MAX_S = 0xff_ffff;
const FIELDS = [
  ...['type', 'ports', 'selector', 'clusterIP', 'clusterIPs', 'externalIPs', 'loadBalancerIP', 'ipFamilies'],
  ...[
    'ipFamilyPolicy',
    'loadBalancerSourceRanges',
    'loadBalancerClass',
    'externalTrafficPolicy',
    'healthCheckNodePort',
  ],
  ...['internalTrafficPolicy', 'sessionAffinity', 'sessionAffinityConfig', 'publishNotReadyAddresses'],
  ...['allocateLoadBalancerNodePorts', 'trafficDistribution', 'externalName'],
];

interface Port {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
  readonly target: number | string;
  readonly nodePort: number | undefined;
  readonly at: number;
}

const textsOf = (context: Context, spec: Fields, name: string): { readonly text: string; readonly at: number }[] => {
  const field = spec.get(name);
  return (field ? (readList(context, field) ?? []) : []).flatMap((item) => {
    const text = readString(context, item);
    return text === undefined ? [] : [{ text, at: item.node.at }];
  });
};

const readTarget = (context: Context, field: Field | undefined, port: number): number | string | undefined => {
  if (field === undefined) return port;
  const value = scalarOf(field.node);
  return typeof value === 'string' ? value : readInteger(context, field, 1, PORT_MAX);
};

const readPort = (context: Context, field: Field): Port | undefined => {
  const one = readObject(context, field, {
    fields: ['name', 'protocol', 'port', 'targetPort', 'nodePort', 'appProtocol'],
  });
  if (!one) return undefined;
  const get = <T>(name: string, read: (field: Field) => T): T | undefined => {
    const part = one.get(name);
    return part && read(part);
  };
  const port = one.get('port')
    ? get('port', (part) => readInteger(context, part, 1, PORT_MAX))
    : missing(context, one, 'port', 'give the port of the service');
  if (port === undefined) return undefined;
  const target = readTarget(context, one.get('targetPort'), port);
  if (target === undefined) return undefined;
  return {
    name: get('name', (part) => readString(context, part)) ?? '',
    protocol: get('protocol', (part) => readOneOf(context, part, PROTOCOLS)) ?? 'TCP',
    port,
    target,
    nodePort: get('nodePort', (part) => readInteger(context, part, 1, PORT_MAX)),
    at: field.node.at,
  };
};

const readPorts = (context: Context, spec: Fields): Port[] => {
  const field = spec.get('ports');
  if (!field) {
    missing(context, spec, 'ports', 'write ports: [{port: 80}]');
    return [];
  }
  const ports = (readList(context, field) ?? []).flatMap((item) => readPort(context, item) ?? []);
  for (const [i, one] of ports.entries()) {
    const first = ports.findIndex(({ name, protocol }) => name === one.name && protocol === one.protocol);
    if (first === i) continue;
    const message = one.name === '' ? 'has no name, and neither has another' : `the name ${one.name} is there twice`;
    context.issues.add(`${field.path}[${i}].name`, one.at, message, { fix: 'give each port a name of its own' });
  }
  return ports;
};

interface Address {
  readonly text: string;
  readonly at: number;
}

const clusterIps = (context: Context, spec: Fields, type: Type): Address[] | 'auto' => {
  const field = spec.get('clusterIP');
  const text = field && readString(context, field);
  const listed = textsOf(context, spec, 'clusterIPs');
  const all = listed.length > 0 ? listed : text ? [{ text, at: field?.node.at ?? -1 }] : [];
  if (all.some((one) => one.text === 'None')) {
    const { path = '', node } = field ?? spec.get('clusterIPs') ?? { node: { at: spec.at } };
    context.issues.add(path, node.at, 'a headless service has no address to balance', {
      value: 'None',
      fix: 'leave it out, or give the address',
    });
    return [];
  }
  return all.length === 0 && type === 'ClusterIP' ? 'auto' : all;
};

export interface ServiceHints {
  /** lbipam.cilium.io/ips */
  readonly addresses: readonly Address[];
  /** service.cilium.io/type: only frontends of these types. */
  readonly only: readonly string[] | undefined;
}

const WORDS: Readonly<Record<string, string>> = {
  ClusterIP: 'cluster-ip',
  NodePort: 'node-port',
  LoadBalancer: 'load-balancer',
  ExternalIPs: 'external-ip',
};
export const EXPOSED_TYPES = Object.keys(WORDS);

const frontendsOf = (
  context: Context,
  spec: Fields,
  type: Type,
  ports: readonly Port[],
  hints: ServiceHints,
  places: Places,
): ServiceFrontendBody[] => {
  const frontends: ServiceFrontendBody[] = [];
  const add = (word: string, at: number, { name, protocol, port }: Port, address = '', own = port): void => {
    if (hints.only && !hints.only.some((one) => WORDS[one] === word)) return;
    const path = `frontends[${frontends.length}]`;
    place(places, path, at, context.issues);
    frontends.push({ type: word, address, port: own, protocol, port_name: name });
  };
  const each = (word: string, addresses: readonly Address[] | 'auto'): void => {
    for (const port of ports) {
      if (addresses === 'auto') add(word, port.at, port);
      else for (const { text, at } of addresses) add(word, at, port, text);
    }
  };
  each('cluster-ip', clusterIps(context, spec, type));
  each('external-ip', textsOf(context, spec, 'externalIPs'));
  const wantsNodePorts = spec.get('allocateLoadBalancerNodePorts');
  const allocates = wantsNodePorts !== undefined && readBoolean(context, wantsNodePorts) === true;
  for (const port of type === 'ClusterIP' ? [] : ports) {
    if (type === 'NodePort' || allocates || port.nodePort !== undefined)
      add('node-port', port.at, port, '', port.nodePort ?? 0);
  }
  if (type !== 'LoadBalancer') return frontends;
  const field = spec.get('loadBalancerIP');
  const text = field && readString(context, field);
  const asked = text ? [{ text, at: field?.node.at ?? -1 }, ...hints.addresses] : hints.addresses;
  each('load-balancer', asked.length > 0 ? asked : 'auto');
  return frontends;
};

const selectorOf = (context: Context, field: Field | undefined): ServiceBody['selector'] => {
  if (field === undefined) return undefined;
  if (field.node.kind !== 'map') {
    context.issues.add(field.path, field.node.at, 'must be an object of texts', { fix: 'write key: "value" pairs' });
    return undefined;
  }
  const labels: Record<string, string> = {};
  for (const [key, { keyAt, value }] of field.node.entries) {
    const text = readString(context, { node: value, keyAt, path: joinPath(field.path, key) });
    if (text !== undefined) labels[key] = text;
  }
  // An empty selector of a Kubernetes Service selects nothing.
  return Object.keys(labels).length === 0 ? undefined : { match_labels: labels };
};

const affinityOf = (context: Context, spec: Fields): number => {
  const field = spec.get('sessionAffinity');
  const kind = field && readOneOf(context, field, ['None', 'ClientIP']);
  const config = spec.get('sessionAffinityConfig');
  const shape = config && readObject(context, config, { fields: ['clientIP'] });
  const client = shape?.get('clientIP');
  const fields = client && readObject(context, client, { fields: ['timeoutSeconds'] });
  const timeout = fields?.get('timeoutSeconds');
  const seconds = timeout ? readInteger(context, timeout, 1, AFFINITY_MAX_S) : AFFINITY_S;
  return kind === 'ClientIP' ? (seconds ?? AFFINITY_S) : 0;
};

const DISTRIBUTIONS: Readonly<Record<string, string>> = {
  PreferClose: 'prefer-same-zone',
  PreferSameZone: 'prefer-same-zone',
  PreferSameNode: 'prefer-same-node',
};

const policyOf = (context: Context, spec: Fields, name: string): string => {
  const field = spec.get(name);
  return ((field && readOneOf(context, field, ['Cluster', 'Local'])) ?? 'Cluster').toLowerCase();
};

const familiesOf = (context: Context, spec: Fields): string[] => {
  const families = textsOf(context, spec, 'ipFamilies').flatMap(({ text, at }) => {
    if (text === 'IPv4' || text === 'IPv6') return [text.toLowerCase()];
    context.issues.add('spec.ipFamilies', at, `${JSON.stringify(text)} is no family`, {
      value: text,
      fix: 'write IPv4 or IPv6',
    });
    return [];
  });
  return families.length > 0 ? [...new Set(families)] : ['ipv4'];
};

/** `places` gets where fields of the body stand. */
export const readServiceSpec = (
  context: Context,
  field: Field,
  hints: ServiceHints,
  places: Places,
): ServiceBody | undefined => {
  const spec = readObject(context, field, { fields: FIELDS });
  if (!spec) return undefined;
  const typeField = spec.get('type');
  if (typeField && scalarOf(typeField.node) === 'ExternalName') {
    context.issues.add(typeField.path, typeField.node.at, 'ExternalName is a name in DNS, with nothing to balance', {
      value: 'ExternalName',
      fix: `write ${TYPES.join(', ')}`,
    });
    return undefined;
  }
  const type = (typeField && readOneOf(context, typeField, TYPES)) ?? 'ClusterIP';
  const ports = readPorts(context, spec);
  const selector = selectorOf(context, spec.get('selector'));
  const ranges = textsOf(context, spec, 'loadBalancerSourceRanges');
  for (const [i, { at }] of ranges.entries()) place(places, `source_ranges[${i}]`, at, context.issues);
  const health = spec.get('healthCheckNodePort');
  const distribution = spec.get('trafficDistribution');
  const chosen = distribution && readOneOf(context, distribution, Object.keys(DISTRIBUTIONS));
  const frontends = frontendsOf(context, spec, type, ports, hints, places);
  place(places, 'frontends', (spec.get('ports') ?? field).node.at, context.issues);
  return {
    frontends,
    ...(selector === undefined ? {} : { selector }),
    ...(selector === undefined
      ? {}
      : { targets: ports.map(({ name, target, protocol }) => ({ port_name: name, port: target, protocol })) }),
    families: familiesOf(context, spec),
    affinity_timeout_s: affinityOf(context, spec),
    external_traffic_policy: policyOf(context, spec, 'externalTrafficPolicy'),
    internal_traffic_policy: policyOf(context, spec, 'internalTrafficPolicy'),
    source_ranges: ranges.map(({ text }) => text),
    health_check_node_port: (health && readInteger(context, health, 0, PORT_MAX)) ?? 0,
    ...(chosen === undefined ? {} : { distribution: DISTRIBUTIONS[chosen] }),
  };
};

/** A list in an annotation: addresses between commas. */
export const addressesIn = (text: string, at: number, path: string, issues: Issues): Address[] =>
  text.split(',').flatMap((part) => {
    const address = part.trim();
    if (isIP(address) !== 0) return [{ text: address, at }];
    issues.add(path, at, `${JSON.stringify(address)} is not an IP address`, {
      value: text,
      fix: 'write 192.0.2.7,192.0.2.8',
    });
    return [];
  });
