// SPDX-License-Identifier: Apache-2.0
/**
 * What a rule says above ports: HTTP and DNS rules, names of TLS, listeners, authentication, toFQDNs. None of it is enforced yet, and each
 * is refused by name where it stands (reader.ts); what is wrong in it is told now all the same, so that a document that is
 * refused only as "not supported yet" is one that will be taken.
 */
import { readDnsName, readDnsPattern } from '../dns-pattern.ts';
import type { Direction } from '../model.ts';
import {
  type Context,
  type Field,
  type Fields,
  missing,
  readInteger,
  readList,
  readObject,
  readOneOf,
  readString,
} from './reader.ts';

/** A port as far as the rules above it care. */
export interface PortFacts {
  readonly text: string;
  /** As written, upper case; ANY when it is left out. */
  readonly protocol: string;
  readonly isRange: boolean;
}

const HTTP = ['path', 'method', 'host', 'headers', 'headerMatches'];
const HEADER = ['name', 'value', 'secret', 'mismatch'];
const MISMATCHES = ['LOG', 'ADD', 'DELETE', 'REPLACE'] as const;
const AUTH_MODES = ['disabled', 'required', 'test-always-fail'] as const;

/** POSIX extended, and JavaScript's differ little; what this refuses, upstream refuses. */
const checkPattern = (context: Context, field: Field): void => {
  const text = readString(context, field);
  if (text === undefined) return;
  try {
    new RegExp(text);
  } catch {
    context.issues.add(field.path, field.node.at, `${JSON.stringify(text)} is not a regular expression`, {
      value: text,
      fix: 'correct it, or escape its special characters',
    });
  }
};

const readHttp = (context: Context, item: Field): void => {
  const rule = readObject(context, item, { fields: HTTP });
  for (const name of ['path', 'method', 'host']) {
    const field = rule?.get(name);
    if (field) checkPattern(context, field);
  }
  const headers = rule?.get('headers');
  for (const one of headers ? (readList(context, headers) ?? []) : []) readString(context, one);
  const matches = rule?.get('headerMatches');
  for (const one of matches ? (readList(context, matches) ?? []) : []) {
    const header = readObject(context, one, { fields: HEADER });
    if (!header) continue;
    if (!header.get('name')) missing(context, header, 'name', 'name the header');
    const mismatch = header.get('mismatch');
    if (mismatch) readOneOf(context, mismatch, MISMATCHES);
  }
};

/** `matchName` or `matchPattern`, one of them: rules.dns and toFQDNs. */
const readName = (context: Context, item: Field): void => {
  const name = readObject(context, item, { fields: ['matchName', 'matchPattern'] });
  if (!name) return;
  const given = (['matchName', 'matchPattern'] as const).flatMap((kind) => {
    const field = name.get(kind);
    return field ? [{ kind, field }] : [];
  });
  const [first, second] = given;
  if (!first) context.issues.add(item.path, item.node.at, 'names nothing', { fix: 'write matchName or matchPattern' });
  if (second) {
    context.issues.add(second.field.path, second.field.keyAt, 'matchPattern cannot stand beside matchName', {
      fix: 'make it an element of its own',
    });
  }
  for (const { kind, field } of given) {
    const text = readString(context, field);
    if (text === undefined) continue;
    const { message, fix } = { fix: '', ...(kind === 'matchName' ? readDnsName(text) : readDnsPattern(text)) };
    if (message !== undefined) {
      context.issues.add(field.path, field.node.at, `${JSON.stringify(text)} ${message}`, { value: text, fix });
    }
  }
};

export const readFqdns = (context: Context, field: Field): void => {
  for (const item of readList(context, field) ?? []) readName(context, item);
};

export const readAuthentication = (context: Context, field: Field): void => {
  const authentication = readObject(context, field, { fields: ['mode'] });
  if (!authentication) return;
  const mode =
    authentication.get('mode') ?? missing(context, authentication, 'mode', `use one of ${AUTH_MODES.join(', ')}`);
  if (mode) readOneOf(context, mode, AUTH_MODES);
};

const say = (context: Context, { path, keyAt }: Field, message: string, fix: string): void =>
  context.issues.add(path, keyAt, message, { fix });

const checkDns = (context: Context, dns: Field, direction: Direction, ports: readonly PortFacts[]): void => {
  if (direction === 'ingress') say(context, dns, 'dns rules are for egress only', 'move it to egress');
  if (ports.some(({ isRange }) => isRange)) {
    say(context, dns, 'dns rules cannot stand with a range of ports', 'write port "53" alone');
  } else if (!ports.some(({ text }) => text === '53')) {
    say(context, dns, 'dns rules need port 53', 'write ports: [{port: "53", protocol: ANY}]');
  }
};

const checkHttp = (context: Context, http: Field, ports: readonly PortFacts[], onHosts: boolean): void => {
  const other = ports.find(({ protocol }) => protocol !== 'TCP');
  if (other) {
    say(context, http, `http rules are for TCP, not ${other.protocol}`, 'write protocol: TCP for each port');
  }
  if (onHosts) say(context, http, 'http rules cannot stand in a policy for hosts', 'use endpointSelector');
};

export interface L7Place {
  readonly direction: Direction;
  /** The policy's subject are hosts (nodeSelector). */
  readonly onHosts: boolean;
}

const readRules = (
  context: Context,
  field: Field,
  { direction, onHosts }: L7Place,
  ports: readonly PortFacts[],
): string[] => {
  const rules = readObject(context, field, { fields: ['http', 'dns'] });
  const given = (['http', 'dns'] as const).filter((kind) => {
    const list = rules?.get(kind);
    return list && (readList(context, list) ?? []).length > 0;
  });
  for (const kind of given) {
    const list = rules?.get(kind) as Field;
    for (const item of readList(context, list) ?? []) (kind === 'http' ? readHttp : readName)(context, item);
    if (kind === 'dns') checkDns(context, list, direction, ports);
    else checkHttp(context, list, ports, onHosts);
  }
  const [, second] = given;
  const both = second && rules?.get(second);
  if (both) say(context, both, 'dns rules cannot stand beside http rules', 'make it an element of toPorts of its own');
  if (given.length > 0 && ports.some(({ text }) => text === '0')) {
    say(context, field, 'rules above ports cannot stand with port 0', 'write the ports that they are for');
  }
  return given;
};

const readListener = (context: Context, field: Field, direction: Direction, kinds: readonly string[]): void => {
  const listener = readObject(context, field, { fields: ['envoyConfig', 'name', 'priority'] });
  if (!listener) return;
  const priority = listener.get('priority');
  if (priority) readInteger(context, priority, 1, 100);
  const name = listener.get('name') ?? missing(context, listener, 'name', 'name the listener');
  if (name) readString(context, name);
  if (direction === 'ingress') say(context, field, 'a listener is for egress only', 'move it to egress');
  if (kinds.length > 0) {
    say(context, field, `a listener cannot stand beside ${kinds.join(' and ')} rules`, 'make it an element of its own');
  }
};

/** Of one element of toPorts. */
export const readAbovePorts = (
  context: Context,
  element: Fields,
  place: L7Place,
  ports: readonly PortFacts[],
): void => {
  const rules = element.get('rules');
  const kinds = rules ? readRules(context, rules, place, ports) : [];
  const listener = element.get('listener');
  if (listener) readListener(context, listener, place.direction, kinds);
  const names = element.get('serverNames');
  for (const item of names ? (readList(context, names) ?? []) : []) {
    const text = readString(context, item);
    if (text === '') {
      context.issues.add(item.path, item.node.at, 'is empty', { value: '', fix: 'write a name, or remove it' });
    } else if (text !== undefined) {
      const { message, fix } = { fix: '', ...readDnsPattern(text) };
      if (message !== undefined)
        context.issues.add(item.path, item.node.at, `${JSON.stringify(text)} ${message}`, { value: text, fix });
    }
  }
  if (names && kinds.length > 0 && !element.get('terminatingTLS')) {
    say(
      context,
      names,
      `serverNames beside ${kinds.join(' and ')} rules need terminatingTLS`,
      'add it, or split the element',
    );
  }
};
