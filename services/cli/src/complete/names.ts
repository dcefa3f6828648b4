// SPDX-License-Identifier: Apache-2.0
/** Names of what there is, asked for while somebody types: one page, a short time, and no word about what goes wrong. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page, Service } from '../client.ts';
import { fieldsOf, LB_POOLS, NETWORK_PATH, OBJECTS, type ObjectNoun } from '../commands/objects.ts';
import type { RESOURCES } from '../commands/resources.ts';
import type { Context } from '../context.ts';
import { readSettings, SERVICE_NAMES } from '../settings.ts';

/** Longer, and whoever types thinks that the shell hangs; for a fleet that is far away, WEIR_COMPLETE_TIMEOUT_MS. */
const TIMEOUT_MS = 1_000;
/** More nobody reads through. */
const MOST = 1_000;

// biome-ignore lint/suspicious/noExplicitAny: each list has its own items
type Item = any;

const listed = async (
  { client, env, signal }: Context,
  service: Service,
  path: string,
  nameOf: (item: Item) => readonly string[],
): Promise<readonly string[]> => {
  const over = new AbortController();
  const timeoutMs = Number(env.WEIR_COMPLETE_TIMEOUT_MS) || TIMEOUT_MS;
  const query = new URLSearchParams({ limit: String(MOST) });
  const asked = client.json<Page<Item>>(service, path, {
    query,
    signal: AbortSignal.any([signal, over.signal]),
    timeoutMs,
  });
  // Also when connecting, reading or parsing takes long.
  const late = sleep(timeoutMs, undefined, { signal: over.signal }).catch(() => undefined);
  try {
    const page = await Promise.race([asked, late]);
    return [...new Set((page?.items ?? []).flatMap(nameOf))];
  } finally {
    asked.catch(() => {});
    over.abort();
  }
};

type Source = (context: Context, given: readonly string[]) => Promise<readonly string[]> | readonly string[];

const hosts: Source = (context) => listed(context, 'inventory', '/v1/hosts', ({ id }) => [id]);
const workloads: Source = (context) =>
  listed(context, 'inventory', '/v1/workloads', ({ namespace, name }) => [`${namespace}/${name}`]);
const namespaces: Source = (context) => listed(context, 'inventory', '/v1/namespaces', ({ name }) => [name]);
const identities: Source = (context) =>
  listed(context, 'inventory', '/v1/identities', ({ identity }) => [String(identity)]);
const policies: Source = (context) =>
  listed(context, 'policy', '/v1/policies', ({ kind, namespace, name }) => [
    namespace === null || namespace === '-' ? `${kind}/${name}` : `${kind}/${namespace}/${name}`,
  ]);
const policyKeys: Source = (context) => listed(context, 'policy', '/v1/policies', ({ key }) => [key]);
const named = (path: string, nameOf = ({ name }: Item): readonly string[] => [name]): Source => {
  return (context) => listed(context, 'inventory', path, nameOf);
};
const pools = named('/v1/pools');
const reservations = named('/v1/reservations', ({ address }) => [address]);
const prefilters = named('/v1/prefilters');
const gateways = named('/v1/egress-gateways');
const services = named('/v1/services', ({ namespace, name }) => [`${namespace}/${name}`]);
const announcements = named('/v1/l2-announcements');
const instances = named('/v1/bgp-instances');
const lbPools = named('/v1/lb-pools');
const networkFields: Source = async ({ client }) =>
  fieldsOf(await client.json<Item>('inventory', NETWORK_PATH, { timeoutMs: TIMEOUT_MS })).map(([field]) => `${field}=`);
const rules: Source = (context) => listed(context, 'policy', '/v1/rules', ({ id }) => [String(id)]);
const labels: Source = (context) =>
  listed(context, 'inventory', '/v1/workloads', ({ labels: of }) =>
    Object.entries(of as Record<string, string>).map(([key, value]) => `${key}=${value}`),
  );
const verdicts: Source = () => ['FORWARDED', 'DROPPED', 'AUDIT'];
const pending: Source = () => ['FORWARDED', 'DROPPED'];
const protocols: Source = () => ['TCP', 'UDP', 'SCTP', 'ICMP', 'ICMPv6'];
const directions: Source = () => ['ingress', 'egress'];
const types: Source = () => ['drop', 'trace', 'policy-verdict', 'trace:to-endpoint', 'trace:to-network'];

const settingKeys: Source = ({ env }) => {
  const { contexts } = readSettings(env);
  const services = Object.keys(contexts).flatMap((name) => SERVICE_NAMES.map((one) => `contexts.${name}.${one}`));
  return ['current-context', ...services];
};
const settingValues: Source = ({ env }, [key]) =>
  key === 'current-context' ? Object.keys(readSettings(env).contexts) : [];

const ONE: Readonly<Record<keyof typeof RESOURCES, Source>> = {
  hosts,
  workloads,
  identities,
  policies: policyKeys,
  rules,
  namespaces,
  pools,
  reservations,
  prefilters,
  'egress-gateways': gateways,
  services,
  'lb-pools': lbPools,
  'l2-announcements': announcements,
  'l2-leases': services,
  'bgp-instances': instances,
  'bgp-peers': () => [],
  'host-firewalls': hosts,
  'host-firewall-events': () => [],
  'bgp-routes': () => [],
};

const ENDS: Readonly<Record<string, Source>> = {
  pod: workloads,
  workload: workloads,
  namespace: namespaces,
  label: labels,
  identity: identities,
};

/** Of a noun's own command: its names, and the fields that can be set. */
const sourcesOf = ({ command, resource, id, fields = {} }: ObjectNoun): (readonly [string, Source])[] => {
  const names = ONE[resource] as Source;
  return [
    ...['get', 'set', 'delete'].map((verb) => [`${command} ${verb} ${id}`, names] as const),
    [`${command} set field=value`, () => Object.keys(fields).map((field) => `${field}=`)],
  ];
};

/** By the word that they are the value of, with its command in front where the word means different things. */
const SOURCES: Readonly<Record<string, Source>> = {
  ...Object.fromEntries(Object.entries(ONE).map(([noun, source]) => [`get ${noun} id`, source])),
  ...Object.fromEntries(
    Object.entries(ENDS).flatMap(([name, source]) => ['', 'from-', 'to-'].map((end) => [end + name, source])),
  ),
  ...Object.fromEntries(OBJECTS.flatMap(sourcesOf)),
  ...Object.fromEntries(sourcesOf({ ...LB_POOLS, command: 'lb pools' })),
  ...Object.fromEntries(
    ['backends', 'drain', 'maintain', 'activate', 'weigh'].map((verb) => [`service ${verb} id`, services]),
  ),
  'network set field=value': networkFields,
  'health from': hosts,
  'health to': hosts,
  'explain from': workloads,
  'explain to': workloads,
  'delete policy': policies,
  'history policy': policies,
  'restore policy': policies,
  'promote policy': policies,
  'config get key': settingKeys,
  'config set key': settingKeys,
  'config reset key': settingKeys,
  'config set value': settingValues,
  'rule-id': rules,
  'pending-rule-id': rules,
  pending,
  'node-name': hosts,
  host: hosts,
  verdict: verdicts,
  protocol: protocols,
  'traffic-direction': directions,
  direction: directions,
  type: types,
};

/** Values of an option or argument `word` of `command`; `given` are the arguments in front of it. */
export const namesFor = async (
  context: Context,
  command: string,
  word: string,
  given: readonly string[],
): Promise<readonly string[]> => {
  const source = SOURCES[`${command} ${word}`] ?? SOURCES[word];
  try {
    return (await source?.(context, given)) ?? [];
  } catch {
    // A service that is away, a configuration that is wrong: the command itself will say so.
    return [];
  }
};
