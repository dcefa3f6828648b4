// SPDX-License-Identifier: Apache-2.0
/** `toPorts` and `icmps` of Cilium rules. Port 0 is every port of the protocol; no protocol, or ANY, is TCP, UDP and SCTP. */
import { PROTOCOLS } from '@weir/net';
import { ICMP4_TYPES, ICMP6_TYPES, icmpPort } from '../icmp.ts';
import type { L4 } from '../model.ts';
import { isServiceName, LAST_PORT } from '../ports.ts';
import { type L7Place, type PortFacts, readAbovePorts } from './cilium-l7.ts';
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
  scalarOf,
} from './reader.ts';

const MAX_PORTS = 40;
const MAX_ICMP_FIELDS = 40;

const TRANSPORTS: Readonly<Record<string, readonly number[]>> = {
  ANY: [PROTOCOLS.TCP, PROTOCOLS.UDP, PROTOCOLS.SCTP],
  TCP: [PROTOCOLS.TCP],
  UDP: [PROTOCOLS.UDP],
  SCTP: [PROTOCOLS.SCTP],
};
const EXTENDED = ['VRRP', 'IGMP', 'GRE', 'IPIP', 'IPV6', 'ESP', 'AH'];

const readProtocols = (context: Context, field: Field | undefined): readonly number[] => {
  const any = TRANSPORTS.ANY as readonly number[];
  const written = field ? readString(context, field) : 'ANY';
  if (written === undefined || written === '' || !field) return any;
  const name = written.toUpperCase();
  if (Object.hasOwn(TRANSPORTS, name)) return TRANSPORTS[name] ?? any;
  const icmp = name === 'ICMP' || name === 'ICMPV6';
  const why = EXTENDED.includes(name) ? NOT_YET : icmp ? 'is not matched by ports' : 'is not a protocol';
  context.issues.add(field.path, field.node.at, `protocol ${JSON.stringify(written)} ${why}`, {
    value: written,
    fix: icmp ? 'write an icmps section instead of toPorts' : 'use TCP, UDP, SCTP or ANY',
  });
  return [];
};

const readPort = (context: Context, field: Field): L4[] => {
  const item = readObject(context, field, { fields: ['port', 'endPort', 'protocol'] });
  if (!item) return [];
  const protocols = readProtocols(context, item.get('protocol'));
  const named = textOf(item, 'protocol')?.toUpperCase() ?? '';
  const written = item.get('port');
  if (EXTENDED.includes(named) && written && textOf(item, 'port') !== '0') {
    context.issues.add(written.path, written.node.at, `protocol ${named} has no ports`, {
      value: scalarOf(written.node),
      fix: 'remove port',
    });
    return [];
  }
  const endField = item.get('endPort');
  const end = endField ? readInteger(context, endField, 0, LAST_PORT) : undefined;
  const portField = item.get('port');
  const text = portField
    ? readString(context, portField)
    : missing(context, item, 'port', 'write a port in quotes; "0" is every port');
  if (!portField || text === undefined) return [];
  if (isServiceName(text)) {
    return protocols.map((protocol) => ({ kind: 'named', protocol, name: text.toLowerCase() }));
  }
  const first = /^(0|[1-9][0-9]{0,4})$/.test(text) ? Number(text) : Number.NaN;
  if (!(first <= LAST_PORT)) {
    context.issues.add(portField.path, portField.node.at, `${JSON.stringify(text)} is not a port`, {
      value: text,
      fix: `use "0" to "${LAST_PORT}", or the name of a port`,
    });
    return [];
  }
  // 0 is how the API says "no range".
  const last = end === undefined || end === 0 ? (first === 0 ? LAST_PORT : first) : end;
  if (endField && last < first) {
    context.issues.add(endField.path, endField.node.at, `endPort ${last} is below port ${first}`, {
      value: end,
      fix: `use ${first} or more`,
    });
    return [];
  }
  return protocols.map((protocol) => ({ kind: 'range', protocol, first, last }));
};

const PORT_RULE = {
  fields: ['ports'],
  unsupported: {
    rules: NOT_YET,
    listener: NOT_YET,
    serverNames: NOT_YET,
    terminatingTLS: NOT_YET,
    originatingTLS: NOT_YET,
  },
};
const DENIED = 'is not allowed in a deny rule';
const DENY_PORT_RULE = {
  fields: ['ports'],
  unsupported: Object.fromEntries(Object.keys(PORT_RULE.unsupported).map((name) => [name, DENIED])),
};

const textOf = (fields: Fields, name: string): string | undefined => {
  const field = fields.get(name);
  const value = field && scalarOf(field.node);
  return typeof value === 'string' ? value : undefined;
};

/** What rules above ports look at; a port that is wrong was said to be. */
const factsOf = (ports: readonly Field[]): PortFacts[] =>
  ports.flatMap(({ node, path, keyAt }): PortFacts[] => {
    if (node.kind !== 'map') return [];
    const at = (name: string): Field | undefined => {
      const entry = node.entries.get(name);
      return entry && { node: entry.value, keyAt, path };
    };
    const fields: Fields = { path, at: keyAt, get: at };
    const end = at('endPort');
    const text = textOf(fields, 'port') ?? '';
    const last = end && scalarOf(end.node);
    return [
      {
        text,
        protocol: (textOf(fields, 'protocol') || 'ANY').toUpperCase(),
        isRange: typeof last === 'number' && last !== 0 && String(last) !== text,
      },
    ];
  });

const tooMany = (context: Context, field: Field, count: number, most: number, what: string): void => {
  if (count <= most) return;
  context.issues.add(field.path, field.node.at, `has ${count} ${what}, more than ${most}`, {
    value: count,
    fix: 'split it into several elements',
  });
};

const readToPorts = (context: Context, field: Field, deny: boolean, place: L7Place): L4[] =>
  (readList(context, field) ?? []).flatMap((item) => {
    const element = readObject(context, item, deny ? DENY_PORT_RULE : PORT_RULE);
    const portsField = element?.get('ports');
    const ports = portsField ? (readList(context, portsField) ?? []) : [];
    if (portsField) tooMany(context, portsField, ports.length, MAX_PORTS, 'ports');
    if (element && !deny) readAbovePorts(context, element, place, factsOf(ports));
    if (element && ports.length === 0) {
      context.warnings.add(
        'no-ports',
        item.path,
        item.node.at,
        'names no ports, so it matches no traffic',
        'list ports',
      );
    }
    return ports.flatMap((port) => readPort(context, port));
  });

const readType = (
  context: Context,
  field: Field,
  names: ReadonlyMap<string, number>,
  family: string,
): number | undefined => {
  const value = scalarOf(field.node);
  if (typeof value === 'number') return readInteger(context, field, 0, 255);
  const text = readString(context, field);
  if (text === undefined) return undefined;
  const known =
    names.get(text) ?? (/^(0|[1-9][0-9]{0,2})$/.test(text) && Number(text) <= 255 ? Number(text) : undefined);
  if (known !== undefined) return known;
  context.issues.add(field.path, field.node.at, `${JSON.stringify(text)} is not an ICMP type of ${family}`, {
    value: text,
    fix: `use 0 to 255 or one of ${[...names.keys()].join(', ')}`,
  });
  return undefined;
};

const readIcmps = (context: Context, field: Field): L4[] =>
  (readList(context, field) ?? []).flatMap((item) => {
    const element = readObject(context, item, { fields: ['fields'] });
    const fieldsField = element?.get('fields');
    const fields = fieldsField ? (readList(context, fieldsField) ?? []) : [];
    if (fieldsField) tooMany(context, fieldsField, fields.length, MAX_ICMP_FIELDS, 'fields');
    if (element && fields.length === 0) {
      context.warnings.add(
        'no-ports',
        item.path,
        item.node.at,
        'names no ICMP types, so it matches no traffic',
        'list fields',
      );
    }
    return fields.flatMap((one): L4[] => {
      const icmp = readObject(context, one, { fields: ['family', 'type'] });
      if (!icmp) return [];
      const familyField = icmp.get('family');
      const family = familyField ? readOneOf(context, familyField, ['IPv4', 'IPv6'] as const) : 'IPv4';
      const typeField = icmp.get('type');
      const names = family === 'IPv6' ? ICMP6_TYPES : ICMP4_TYPES;
      const type = typeField
        ? readType(context, typeField, names, family ?? 'IPv4')
        : missing(context, icmp, 'type', 'write a type, such as EchoRequest');
      if (type === undefined) return [];
      const protocol = family === 'IPv6' ? PROTOCOLS.ICMPv6 : PROTOCOLS.ICMP;
      return [{ kind: 'range', protocol, first: icmpPort(type), last: icmpPort(type) + 0xff }];
    });
  });

export const L4_FIELDS = ['toPorts', 'icmps'];

export const readL4 = (context: Context, rule: Fields, deny: boolean, place: L7Place): 'any' | readonly L4[] => {
  const ports = rule.get('toPorts');
  const icmps = rule.get('icmps');
  const filled = [ports, icmps].filter((field) => field?.node.kind === 'list' && field.node.items.length > 0);
  if (icmps && filled.length === 2) {
    context.issues.add(icmps.path, icmps.keyAt, 'icmps cannot stand beside toPorts', {
      fix: 'make it an element of its own',
    });
  }
  const l4 = [...(ports ? readToPorts(context, ports, deny, place) : []), ...(icmps ? readIcmps(context, icmps) : [])];
  return filled.length === 0 ? 'any' : l4;
};
