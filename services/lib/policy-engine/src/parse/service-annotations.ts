// SPDX-License-Identifier: Apache-2.0
/**
 * Annotations of a Kubernetes Service that say how it is balanced: those of Cilium, and `health-check.weir.io/`, one for each
 * field of a health check. Of other annotations nobody here knows anything; unknown ones of these prefixes are refused.
 *
 * A fleet is one cluster: every service is of all of it, and all backends are those of the own cluster. So what Cilium says of
 * several clusters holds when it asks for nothing else, and is refused when it does.
 */
import { readHosts } from './host-terms.ts';
import { addressesIn, EXPOSED_TYPES, type ServiceHints } from './kubernetes-service.ts';
import { joinPath } from './located.ts';
import { type Context, type Field, type Fields, readOneOf, readString } from './reader.ts';
import { type Places, place } from './service-body.ts';

const IPS = ['lbipam.cilium.io/ips', 'io.cilium/lb-ipam-ips'];
const KEY = ['lbipam.cilium.io/sharing-key', 'io.cilium/lb-ipam-sharing-key'];
const CROSS = ['lbipam.cilium.io/sharing-cross-namespace', 'io.cilium/lb-ipam-sharing-cross-namespace'];
/** Annotation -> field of the body, and what may stand there. */
const CHOICES = {
  'service.cilium.io/lb-algorithm': ['algorithm', ['random', 'maglev', 'least-connections']],
  'service.cilium.io/forwarding-mode': ['forwarding', ['snat', 'dsr', 'hybrid']],
  'service.cilium.io/src-ranges-policy': ['source_ranges_policy', ['allow', 'deny']],
} as const;
const EXPOSED = 'service.cilium.io/type';
const NODE = 'service.cilium.io/node';
const NODE_SELECTOR = 'service.cilium.io/node-selector';
const DELEGATE = 'service.cilium.io/proxy-delegation';
/** Of several clusters: what may be said, and what of it holds where there is one. */
const CLUSTERS = {
  'service.cilium.io/global': { words: ['true', 'false'], refused: {} },
  'service.cilium.io/shared': { words: ['true', 'false'], refused: {} },
  'service.cilium.io/affinity': {
    words: ['local', 'none', 'remote'],
    refused: { remote: 'prefers backends of other clusters, and a fleet has none' },
  },
} as const;
const HEALTH = 'health-check.weir.io/';
type Kind = 'word' | 'text' | 'number' | 'boolean';
/** Annotation -> field of the health check, and what it is. The API knows the bounds. */
const HEALTH_FIELDS: Readonly<Record<string, readonly [field: string, kind: Kind]>> = {
  kind: ['kind', 'word'],
  port: ['port', 'number'],
  'period-ms': ['period_ms', 'number'],
  'timeout-ms': ['timeout_ms', 'number'],
  'unhealthy-after': ['unhealthy_after', 'number'],
  'healthy-after': ['healthy_after', 'number'],
  'slow-start-ms': ['slow_start_ms', 'number'],
  path: ['path', 'text'],
  host: ['host', 'text'],
  'status-low': ['status_low', 'number'],
  'status-high': ['status_high', 'number'],
  send: ['send', 'text'],
  expect: ['expect', 'text'],
  'grpc-service': ['grpc_service', 'text'],
  tls: ['tls', 'boolean'],
  insecure: ['insecure', 'boolean'],
};
const HEALTH_NAMES = Object.keys(HEALTH_FIELDS).map((name) => `${HEALTH}${name}`);
const KNOWN = [
  ...[...IPS, ...KEY, ...CROSS, ...Object.keys(CHOICES), EXPOSED, NODE, NODE_SELECTOR, DELEGATE],
  ...Object.keys(CLUSTERS),
];
const OURS = /^(?:lbipam|service)\.cilium\.io\/|^io\.cilium\/lb-ipam|^health-check\.weir\.io\//;

export type Annotations = ReadonlyMap<string, Field>;

export const annotationsOf = (context: Context, root: Fields): Annotations => {
  const node = root.get('metadata')?.node;
  const annotations = node?.kind === 'map' ? node.entries.get('annotations')?.value : undefined;
  const found = new Map<string, Field>();
  if (annotations?.kind !== 'map') return found;
  for (const [key, { keyAt, value }] of annotations.entries) {
    const path = joinPath('metadata.annotations', key);
    if (KNOWN.includes(key) || HEALTH_NAMES.includes(key)) found.set(key, { node: value, keyAt, path });
    else if (OURS.test(key)) {
      const known = key.startsWith(HEALTH) ? HEALTH_NAMES : KNOWN;
      context.issues.add(path, keyAt, `${key} is not supported`, { value: key, fix: `use one of ${known.join(', ')}` });
    }
  }
  return found;
};

const listOf = (text: string): string[] => text.split(',').map((part) => part.trim());

const checkClusters = (context: Context, annotations: Annotations): void => {
  for (const [name, { words, refused }] of Object.entries(CLUSTERS)) {
    const field = annotations.get(name);
    const word = field && readOneOf<string>(context, field, words);
    const why = word === undefined ? undefined : (refused as Readonly<Record<string, string>>)[word];
    if (!field || why === undefined) continue;
    const left = words.filter((one) => !Object.hasOwn(refused, one)).join(' or ');
    context.issues.add(field.path, field.node.at, `${name} ${JSON.stringify(word)} ${why}`, {
      value: word,
      fix: `leave it out, or write ${left}`,
    });
  }
};

const numberIn = (context: Context, field: Field, text: string): number | undefined => {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  context.issues.add(field.path, field.node.at, `${JSON.stringify(text)} is not a whole number`, {
    value: text,
    fix: 'write digits in quotes, such as "2000"',
  });
  return undefined;
};

const healthPart = (context: Context, field: Field, kind: Kind): unknown => {
  if (kind === 'boolean') {
    const word = readOneOf(context, field, ['true', 'false']);
    return word === undefined ? undefined : word === 'true';
  }
  const text = readString(context, field);
  return kind === 'number' && text !== undefined ? numberIn(context, field, text) : text;
};

const healthOf = (context: Context, annotations: Annotations, places: Places): Record<string, unknown> | undefined => {
  const check: Record<string, unknown> = {};
  let first: Field | undefined;
  for (const [name, [to, kind]] of Object.entries(HEALTH_FIELDS)) {
    const field = annotations.get(`${HEALTH}${name}`);
    if (!field) continue;
    first ??= field;
    const value = healthPart(context, field, kind);
    if (value === undefined) continue;
    check[to] = value;
    place(places, `health_check.${to}`, field.node.at, context.issues);
  }
  if (!first) return undefined;
  place(places, 'health_check', first.node.at, context.issues);
  if (check.kind !== undefined) return check;
  context.issues.add(first.path, first.keyAt, `${HEALTH}kind is missing: how are backends asked?`, {
    fix: `add ${HEALTH}kind: tcp, http, https, udp, icmp or grpc`,
  });
  return undefined;
};

export const settingsOf = (context: Context, annotations: Annotations, places: Places): Record<string, unknown> => {
  const first = (names: readonly string[]): string | undefined => {
    const field = names.map((name) => annotations.get(name)).find((one) => one !== undefined);
    return field && readString(context, field);
  };
  const settings: Record<string, unknown> = {};
  for (const [name, [field, words]] of Object.entries(CHOICES)) {
    const given = annotations.get(name);
    const word = given && readOneOf<string>(context, given, words);
    if (!given || word === undefined) continue;
    settings[field] = word;
    place(places, field, given.node.at, context.issues);
  }
  const key = first(KEY);
  if (key !== undefined) settings.sharing_key = key;
  const cross = first(CROSS);
  if (cross !== undefined) settings.sharing_namespaces = listOf(cross);
  const hosts = readHosts(context, annotations.get(NODE), annotations.get(NODE_SELECTOR), NODE);
  if (hosts) {
    settings.hosts = hosts.selector;
    place(places, 'hosts', hosts.at, context.issues);
  }
  const delegate = annotations.get(DELEGATE);
  if (delegate) {
    settings.delegate_if_local = readOneOf(context, delegate, ['delegate-if-local', 'none']) === 'delegate-if-local';
    place(places, 'delegate_if_local', delegate.node.at, context.issues);
  }
  checkClusters(context, annotations);
  const health = healthOf(context, annotations, places);
  if (health) settings.health_check = health;
  return settings;
};

export const hintsOf = (context: Context, annotations: Annotations): ServiceHints => {
  const addresses = IPS.flatMap((name) => {
    const field = annotations.get(name);
    const text = field && readString(context, field);
    return field && text !== undefined ? addressesIn(text, field.node.at, field.path, context.issues) : [];
  });
  const field = annotations.get(EXPOSED);
  const text = field && readString(context, field);
  const only = text === undefined ? undefined : listOf(text);
  for (const word of only ?? []) {
    if (EXPOSED_TYPES.includes(word) || !field) continue;
    const facts = { value: text, fix: `use some of ${EXPOSED_TYPES.join(', ')}` };
    context.issues.add(field.path, field.node.at, `${JSON.stringify(word)} is no type of a service`, facts);
  }
  return { addresses, only };
};
