// SPDX-License-Identifier: Apache-2.0
/**
 * Filters from flags, by Hubble's rules: `--from-x` is of the source, `--to-x` of the destination, `--x` of one of both, all
 * such at the same end; `--not` turns the next flag into one that must not fit.
 */
import { eventType } from './event-types.ts';
import { type Filters, type FlowFilter, parseFilter, type TextField, usage } from './filter.ts';

/** Field behind source_ and destination_, by flag. */
export const END_FLAGS = {
  ip: 'ip',
  pod: 'pod',
  workload: 'workload',
  namespace: 'pod',
  'all-namespaces': 'pod',
  label: 'label',
  identity: 'identity',
  port: 'port',
  service: 'service',
} as const;

/** Flags of the flow itself, and their field. */
const PLAIN_FIELDS = {
  verdict: 'verdict',
  protocol: 'protocol',
  'node-name': 'node_name',
  host: 'node_name',
  'ip-version': 'ip_version',
  'traffic-direction': 'traffic_direction',
  direction: 'traffic_direction',
  'drop-reason-desc': 'drop_reason_desc',
  'drop-reason': 'drop_reason_desc',
  'rule-id': 'rule_id',
  pending: 'pending',
  'pending-rule-id': 'pending_rule_id',
  uuid: 'uuid',
  'snat-ip': 'source_ip_xlated',
  'exec-id': 'exec_id',
  process: 'process',
  unit: 'unit',
  uid: 'uid',
} as const satisfies Record<string, TextField>;

type EndFlag = keyof typeof END_FLAGS;
type Mutable = { -readonly [Field in keyof FlowFilter]?: unknown[] };

/** `either` fields are without their end. */
interface Side {
  readonly common: Mutable;
  readonly either: Record<string, unknown[]>;
}

const newSide = (): Side => ({ common: {}, either: {} });

const TCP_FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR', 'NS'];

const tcpFlags = (text: string): Record<string, boolean> => {
  const names = text.split(',').map((name) => name.trim().toUpperCase());
  const wrong = names.find((name) => !TCP_FLAGS.includes(name));
  if (wrong !== undefined) throw usage(`--tcp-flags: there is no flag ${wrong}; there are ${TCP_FLAGS.join(', ')}`);
  return Object.fromEntries(names.map((name) => [name, true]));
};

const ipVersion = (text: string): string => {
  const version = /^(?:ip)?v?([46])$/i.exec(text)?.[1];
  if (version === undefined) throw usage(`--ip-version: ${text} is neither 4 nor 6`);
  return `IPv${version}`;
};

/** Hubble knows namespaces as the front part of a pod's name. */
const endValue = (flag: EndFlag, value: string): unknown => {
  if (flag === 'namespace') return `${value}/`;
  if (flag === 'all-namespaces') return '/';
  return flag === 'workload' ? { name: value } : value;
};

/** `from-ip` is `ip` of the source. */
export const splitFlag = (flag: string): { readonly end: 'from' | 'to' | undefined; readonly name: string } => {
  const [, end, name] = /^(from|to)-(.+)$/.exec(flag) ?? [];
  return name === undefined ? { end: undefined, name: flag } : { end: end as 'from' | 'to', name };
};

export class FilterBuilder {
  readonly #allow = newSide();
  readonly #deny = newSide();
  readonly #raw: { readonly allow: FlowFilter[]; readonly deny: FlowFilter[] } = { allow: [], deny: [] };
  /** Flags of the allowed side as they were given, for the service. */
  readonly given: { readonly flag: string; readonly value: string }[] = [];
  #negate = false;

  not(): void {
    if (this.#negate) throw usage('--not stands twice before one flag');
    this.#negate = true;
  }

  add(flag: string, value: string): void {
    const negated = this.#negate;
    this.#negate = false;
    if (!negated) this.given.push({ flag, value });
    this.#put(negated ? this.#deny : this.#allow, flag, value);
  }

  addRaw(list: 'allow' | 'deny', text: string): void {
    this.#refuseNot(`--${list}list`);
    this.#raw[list].push(parseFilter(`--${list}list`, text));
  }

  get hasRaw(): boolean {
    return this.#raw.allow.length > 0;
  }

  #refuseNot(flag: string): void {
    if (this.#negate) throw usage(`--not has no meaning before ${flag}`);
  }

  #put(side: Side, flag: string, value: string): void {
    const push = (field: keyof FlowFilter, what: unknown): void => {
      side.common[field] = [...(side.common[field] ?? []), what];
    };
    const { end, name } = splitFlag(flag);
    if (name in END_FLAGS) {
      const field = END_FLAGS[name as EndFlag];
      const what = endValue(name as EndFlag, value);
      if (end !== undefined) push(`${end === 'from' ? 'source' : 'destination'}_${field}`, what);
      else side.either[field] = [...(side.either[field] ?? []), what];
    } else if (flag === 'tcp-flags') push('tcp_flags', tcpFlags(value));
    else if (flag === 'type') push('event_type', eventType(value));
    else if (flag === 'is-reply') push('reply', value === 'true');
    else if (flag === 'encrypted') push('encrypted', value === 'true');
    else if (flag === 'ip-version') push('ip_version', ipVersion(value));
    else push(PLAIN_FIELDS[flag as keyof typeof PLAIN_FIELDS], value);
  }

  build(): Filters {
    this.#refuseNot('the end of the command');
    return {
      allow: [...filtersOf(this.#allow), ...this.#raw.allow],
      deny: [...filtersOf(this.#deny), ...this.#raw.deny],
    };
  }
}

const filtersOf = ({ common, either }: Side): FlowFilter[] => {
  const fields = Object.entries(either);
  if (fields.length === 0) return Object.keys(common).length === 0 ? [] : [common as FlowFilter];
  for (const [field] of fields) {
    const clash = (['source', 'destination'] as const).find((end) => `${end}_${field}` in common);
    if (clash === undefined) continue;
    const flag = Object.entries(END_FLAGS).find(([, name]) => name === field)?.[0] ?? field;
    throw usage(`--${flag} cannot be combined with --${clash === 'source' ? 'from' : 'to'}-${flag}`);
  }
  const at = (end: string): FlowFilter =>
    ({ ...Object.fromEntries(fields.map(([field, values]) => [`${end}_${field}`, values])), ...common }) as FlowFilter;
  return [at('source'), at('destination')];
};
