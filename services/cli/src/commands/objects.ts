// SPDX-License-Identifier: Apache-2.0
/**
 * `weir NOUN set|delete` for what inventory keeps as whole objects. `set` names fields as the API does (`mtu=1400`,
 * `masquerade.ipv4=true`, `cidrs=10.9.0.0/16,10.10.0.0/16`); what is not named stays as it is. The object is read, changed and put
 * back under its ETag, so nobody's change in between is lost.
 */
import { isDeepStrictEqual } from 'node:util';
import { nearest } from '@weir/errors';
import { escapeUntrusted } from '@weir/net';
import type { Context } from '../context.ts';
import { CliFailure, EXIT, Refused } from '../failure.ts';
import { type FieldKind, readValue, usage } from './object-values.ts';
import { waitInventory } from './realised.ts';

export interface ObjectNoun {
  /** Name of the command. */
  readonly command: string;
  readonly description: string;
  /** Of RESOURCES: what lists it. */
  readonly resource: string;
  /** What it is named by. */
  readonly id: string;
  /** Fields that can be set; none: another command does it. */
  readonly fields?: Readonly<Record<string, FieldKind>>;
  /** PATCH: only what is named is sent. */
  readonly method?: 'PUT' | 'PATCH';
  readonly isRemovable?: boolean;
}

export const L2: ObjectNoun = {
  command: 'l2',
  description: 'addresses of services that hosts answer for on their networks (ARP, NDP)',
  resource: 'l2-announcements',
  id: 'name',
  fields: {
    services: 'selector',
    hosts: 'selector',
    interfaces: 'texts',
    external_ips: 'flag',
    load_balancer_ips: 'flag',
    lease_duration_ms: 'number',
    renew_deadline_ms: 'number',
    retry_period_ms: 'number',
  },
  isRemovable: true,
};

export const BGP: ObjectNoun = {
  command: 'bgp',
  description: 'what hosts tell routers by BGP; weir apply makes and changes it',
  resource: 'bgp-instances',
  id: 'name',
  isRemovable: true,
};

/** Below `weir lb`. */
export const LB_POOLS: ObjectNoun = {
  command: 'pools',
  description: 'pools of addresses that services get',
  resource: 'lb-pools',
  id: 'name',
  fields: {
    blocks: 'blocks',
    service_selector: 'selector',
    allow_first_last_ips: 'flag',
    disabled: 'flag',
    frontend_type: 'text',
  },
  isRemovable: true,
};

export const OBJECTS: readonly ObjectNoun[] = [
  {
    command: 'service',
    description: 'addresses under which backends are reached; weir apply makes and changes them',
    resource: 'services',
    id: 'id',
    isRemovable: true,
  },
  {
    command: 'pools',
    description: 'pools of addresses, cut into blocks that hosts hold',
    resource: 'pools',
    id: 'name',
    fields: { cidrs: 'texts', block_bits4: 'number', block_bits6: 'number' },
    isRemovable: true,
  },
  {
    command: 'reservations',
    description: 'addresses that are kept for one workload',
    resource: 'reservations',
    id: 'address',
    fields: { workload: 'text' },
    isRemovable: true,
  },
  {
    command: 'prefilter',
    description: 'sources that uplinks drop before anything else looks at their packets',
    resource: 'prefilters',
    id: 'name',
    fields: { cidrs: 'texts', hosts: 'selector' },
    isRemovable: true,
  },
  {
    command: 'egress',
    description: 'gateways by which workloads leave the fleet; weir apply takes CiliumEgressGatewayPolicy',
    resource: 'egress-gateways',
    id: 'name',
    fields: { workloads: 'workloads', destination_cidrs: 'texts', excluded_cidrs: 'texts', gateways: 'gateways' },
    isRemovable: true,
  },
  L2,
  BGP,
  {
    command: 'workloads',
    description: 'workloads, how much they may send and receive, and with whose addresses',
    resource: 'workloads',
    id: 'id',
    fields: { egress_bandwidth: 'amount', ingress_bandwidth: 'amount', source_check: 'flag' },
    method: 'PATCH',
  },
];

/** What the API shows of an object and does not take. */
const SHOWN = new Set([
  ...['name', 'address', 'created_at', 'revision', 'addresses', 'addresses_total', 'addresses_used', 'conditions'],
]);
/** Of pools of workloads: how many they have. */
const COUNTED = 'blocks';

type Json = Record<string, unknown>;

/** `mtu=1400` and the like as path and value. */
const assignmentsOf = (
  words: readonly string[],
  kinds: Readonly<Record<string, FieldKind>>,
): readonly (readonly [path: string, value: unknown])[] =>
  words.map((word) => {
    const at = word.indexOf('=');
    const field = (at < 0 ? word : word.slice(0, at)).replaceAll('-', '_');
    const known = Object.keys(kinds);
    const kind = Object.hasOwn(kinds, field) ? kinds[field] : undefined;
    if (kind === undefined) {
      const meant = nearest(field, known);
      throw usage(
        `${JSON.stringify(field)} is no field that can be set`,
        meant === undefined ? `use one of ${known.join(', ')}` : `did you mean ${meant}?`,
      );
    }
    if (at < 0) throw usage(`${field} has no value`, `write ${field}=VALUE`);
    return [field, readValue(kind, field, word.slice(at + 1))] as const;
  });

const assign = (into: Json, path: string, value: unknown): Json => {
  const [first = '', ...rest] = path.split('.');
  const inner = rest.length === 0 ? value : assign((into[first] ?? {}) as Json, rest.join('.'), value);
  return { ...into, [first]: inner };
};

interface Read {
  readonly object: Json;
  readonly tag: string | null;
}

const read = async (context: Context, path: string): Promise<Read | undefined> => {
  try {
    const response = await context.client.send('inventory', path);
    return { object: (await response.json()) as Json, tag: response.headers.get('etag') };
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return undefined;
    throw error;
  }
};

const takenOf = (object: Json): Json =>
  Object.fromEntries(
    Object.entries(object).filter(
      ([field, value]) => !SHOWN.has(field) && value !== null && !(field === COUNTED && typeof value === 'number'),
    ),
  );

export type ObjectAction = 'created' | 'configured' | 'unchanged';

export interface Written {
  readonly action: ObjectAction;
  readonly revision: number;
}

/** Of one of several documents. */
export interface ObjectResult extends Written {
  readonly key: string;
}

/** Puts an object under the ETag of what was read, or creates it; `change` makes it of what there is. */
export const putObject = async (
  context: Context,
  path: string,
  change: (before: Json | undefined) => Json,
  dryRun = false,
): Promise<Written> => {
  const before = await read(context, path);
  const wanted = change(before && takenOf(before.object));
  const same = before !== undefined && isDeepStrictEqual(wanted, takenOf(before.object));
  if (before !== undefined && (same || dryRun)) {
    return { action: same ? 'unchanged' : 'configured', revision: Number(before.object.revision) };
  }
  if (dryRun) return { action: 'created', revision: 0 };
  const object = await context.client.json<Json>('inventory', path, {
    method: 'PUT',
    headers: before?.tag ? { 'if-match': before.tag } : { 'if-none-match': '*' },
    body: { type: 'application/json', text: JSON.stringify(wanted) },
  });
  const action = before === undefined ? 'created' : 'configured';
  return { action, revision: Number(object.revision) };
};

export interface SetOptions {
  readonly wait?: boolean;
  readonly timeout: number;
}

const told = async (context: Context, what: string, { action, revision }: Written, options: SetOptions) => {
  context.out(`${escapeUntrusted(what)} ${action}`);
  if (options.wait) await waitInventory(context, revision, options.timeout);
};

const singular = (noun: ObjectNoun): string => noun.resource.replace(/s$/, '');

export const setObject = async (
  context: Context,
  noun: ObjectNoun,
  path: string,
  id: string,
  words: readonly string[],
  options: SetOptions,
): Promise<void> => {
  const values = assignmentsOf(words, noun.fields ?? {});
  const merged = (before: Json) => values.reduce((object, [field, value]) => assign(object, field, value), before);
  if (noun.method !== 'PATCH') {
    const written = await putObject(context, path, (before) => merged(before ?? {}));
    return told(context, `${singular(noun)} ${id}`, written, options);
  }
  const { revision } = await context.client.json<{ revision: number }>('inventory', path, {
    method: 'PATCH',
    body: { type: 'application/json', text: JSON.stringify(merged({})) },
  });
  return told(context, `${singular(noun)} ${id}`, { action: 'configured', revision }, options);
};

export const removeObjects = async (
  context: Context,
  noun: ObjectNoun,
  pathOf: (id: string) => string,
  ids: readonly string[],
): Promise<void> => {
  const refused: string[] = [];
  for (const id of ids) {
    try {
      await context.client.send('inventory', pathOf(id), { method: 'DELETE' });
      context.out(`${singular(noun)} ${escapeUntrusted(id)} deleted`);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      refused.push(error.message);
    }
  }
  if (refused.length > 0) throw new CliFailure(EXIT.failed, refused.join('\n'));
};

export const NETWORK_PATH = '/v1/network';

const kindOf = (field: string, value: unknown): FieldKind => {
  if (typeof value === 'boolean') return 'flag';
  if (typeof value === 'number') return 'number';
  if (Array.isArray(value)) return field === 'vlan_bypass' ? 'numbers' : 'texts';
  return 'text';
};

/** Every field of the network with what it holds, parts of parts with dots. */
export const fieldsOf = (object: Json, before = ''): (readonly [field: string, value: unknown])[] =>
  Object.entries(object).flatMap(([name, value]) => {
    if (before === '' && SHOWN.has(name)) return [];
    const field = `${before}${name}`;
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? fieldsOf(value as Json, `${field}.`)
      : [[field, value] as const];
  });

/** The network always exists and shows all its fields, so their kinds are those of what they hold. */
export const setNetwork = async (context: Context, words: readonly string[], options: SetOptions): Promise<void> => {
  const written = await putObject(context, NETWORK_PATH, (before = {}) => {
    const kinds = Object.fromEntries(fieldsOf(before).map(([field, value]) => [field, kindOf(field, value)]));
    return assignmentsOf(words, kinds).reduce((object, [field, value]) => assign(object, field, value), before);
  });
  await told(context, 'network', written, options);
};
