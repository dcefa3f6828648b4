// SPDX-License-Identifier: Apache-2.0
/** Parts of worlds that formats share: addresses, named ports, labels and who is called what. */
import { ipFamily, isIp, parseIp } from '@weir/net';
import {
  ENTITIES,
  type Entity,
  type External,
  type Family,
  HOSTS,
  type NamedPort,
  type Pod,
  VIEWS,
  type View,
} from '../mode.ts';
import { type Fields, integer, labels, list, object, oneOf, text, type Value, wrong } from './value.ts';

export const TRANSPORTS = ['TCP', 'UDP', 'SCTP'] as const;

/** The address as text, checked. */
export const address = (of: Value, family?: Family): { readonly ip: string; readonly family: Family } => {
  const ip = text(of);
  const written = isIp(ip) ? ipFamily(parseIp(ip)) : undefined;
  if (written === undefined || (family !== undefined && written !== family)) {
    return wrong(of, `must be an ${family ? `IPv${family}` : 'IP'} address, not ${JSON.stringify(ip)}`, 'correct it');
  }
  return { ip, family: written };
};

export const addresses = (of: Fields): { readonly ip4?: string; readonly ip6?: string } => {
  const ip4 = of.get('ip4');
  const ip6 = of.get('ip6');
  return { ...(ip4 ? { ip4: address(ip4, 4).ip } : {}), ...(ip6 ? { ip6: address(ip6, 6).ip } : {}) };
};

const protocolOf = (of: Value): NamedPort['protocol'] => oneOf({ ...of, value: text(of).toUpperCase() }, TRANSPORTS);

export const port = (of: Value): number => integer(of, 0, 65535);

/** `[{"name": "http", "port": 80, "protocol": "TCP"}]`; without a protocol it is TCP, as in Kubernetes. */
export const portList = (of: Value | undefined): NamedPort[] =>
  of
    ? list(of).map((one) => {
        const fields = object(one, ['name', 'port', 'protocol', 'containerPort']);
        const protocol = fields.get('protocol');
        return {
          name: text(fields.need('name')),
          port: port(fields.get('containerPort') ?? fields.need('port')),
          protocol: protocol ? protocolOf(protocol) : 'TCP',
        };
      })
    : [];

/** `["TCP", 80]` */
export const protocolAndPort = (name: string, of: Value): NamedPort => {
  const [first, second, ...rest] = list(of);
  if (!first || !second || rest.length > 0) return wrong(of, 'must be [protocol, port]', 'write ["TCP", 80]');
  return { name, protocol: protocolOf(first), port: port(second) };
};

/** Keys as policies without a source see them: `k8s:` is what a label is unless it says something else. */
export const podLabels = (of: Value | undefined): Record<string, string> =>
  of ? Object.fromEntries(Object.entries(labels(of)).map(([key, value]) => [key.replace(/^k8s:/, ''), value])) : {};

export const asPod = (ns: string, name: string, fields: Fields, ports: readonly NamedPort[]): Pod => {
  const found = addresses(fields);
  if (!found.ip4 && !found.ip6) wrong(fields.self, 'has no address', 'give it ip4, ip6 or both');
  return { ns, name, labels: podLabels(fields.get('labels')), ...found, ports };
};

/** What is called `host`, `host2`, `host-v6`, `remote-node-ipv6` is what it is called; everything else is the world. */
export const entityOf = (name: string): Entity | undefined => {
  const plain = name.replace(/[-_]?(ip)?(v?[0-9]+)$/i, '').replace('_', '-');
  return ENTITIES.find((entity) => entity === plain);
};

export const asExternal = (name: string, fields: Fields, defaultEntity: Entity | undefined): External => {
  const found = addresses(fields);
  if (!found.ip4 && !found.ip6) wrong(fields.self, 'has no address', 'give it ip4, ip6 or both');
  const written = fields.get('entity');
  const entity = written ? oneOf(written, ENTITIES) : defaultEntity;
  const labelled = fields.get('labels');
  if (labelled && !HOSTS.includes(entity)) wrong(labelled, 'are of no use: only a host has labels', 'remove them');
  const more = { ...(entity ? { entity } : {}), ...(labelled ? { labels: labels(labelled) } : {}) };
  return { name, ...found, ...more };
};

/** `"view": "audited"` or `"pending"`; without one what happens is meant. */
export const viewOf = (fields: Fields): { readonly view?: View } => {
  const written = fields.get('view');
  return written ? { view: oneOf(written, VIEWS) } : {};
};
