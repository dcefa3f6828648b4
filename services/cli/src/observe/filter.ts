// SPDX-License-Identifier: Apache-2.0
/**
 * Filters of flows as Hubble's observer API names them (FlowFilter): a flow is shown when one of the allowed filters fits it,
 * or none is given, and none of the denied ones does. Of one filter every field must hold, of one field any value.
 */
import { parseLabelSelector, protocolNumber } from '@weir/net';
import { CliFailure, EXIT } from '../failure.ts';

/** Values of these are text; what an array of objects holds is said beside it. */
const TEXT_FIELDS = [
  'source_ip',
  'destination_ip',
  'source_pod',
  'destination_pod',
  'source_label',
  'destination_label',
  'source_identity',
  'destination_identity',
  'source_port',
  'destination_port',
  'source_service',
  'destination_service',
  'verdict',
  'protocol',
  'node_name',
  'ip_version',
  'traffic_direction',
  'drop_reason_desc',
  'rule_id',
  'pending',
  'pending_rule_id',
  'uuid',
  'source_ip_xlated',
  'exec_id',
  'process',
  'unit',
  'uid',
] as const;

export type TextField = (typeof TEXT_FIELDS)[number];

/** Flags that a packet had, such as {"SYN": true}. */
export type TcpFlags = Readonly<Record<string, boolean>>;

export interface EventType {
  /** Cilium's message type: 1 drop, 4 trace, 5 policy-verdict. */
  readonly type: number;
  readonly match_sub_type?: boolean;
  /** Of a drop its reason, of a trace its observation point. */
  readonly sub_type?: number;
}

export interface WorkloadName {
  /** name or namespace/name. */
  readonly name: string;
}

export type FlowFilter = { readonly [Field in TextField]?: readonly string[] } & {
  readonly source_workload?: readonly WorkloadName[];
  readonly destination_workload?: readonly WorkloadName[];
  readonly event_type?: readonly EventType[];
  readonly tcp_flags?: readonly TcpFlags[];
  readonly reply?: readonly boolean[];
  readonly encrypted?: readonly boolean[];
};

export interface Filters {
  readonly allow: readonly FlowFilter[];
  readonly deny: readonly FlowFilter[];
}

const OBJECT_FIELDS: Readonly<Record<string, (value: unknown) => boolean>> = {
  source_workload: (value) => typeof (value as WorkloadName | null)?.name === 'string',
  destination_workload: (value) => typeof (value as WorkloadName | null)?.name === 'string',
  event_type: (value) => Number.isInteger((value as EventType | null)?.type),
  tcp_flags: (value) => typeof value === 'object' && value !== null,
  reply: (value) => typeof value === 'boolean',
  encrypted: (value) => typeof value === 'boolean',
};

export const usage = (message: string): CliFailure => new CliFailure(EXIT.usage, `error: ${message}`);

const FIELDS: readonly string[] = [...TEXT_FIELDS, ...Object.keys(OBJECT_FIELDS)];

/** A filter as JSON, as `--allowlist` and `--denylist` take it. */
export const parseFilter = (flag: string, text: string): FlowFilter => {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw usage(`${flag}: ${(error as Error).message}\n  fix: give one filter such as '{"source_ip":["10.0.0.0/8"]}'`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw usage(`${flag}: it is no object`);
  const filter: Record<string, unknown> = {};
  for (const [field, values] of Object.entries(parsed)) {
    if (!FIELDS.includes(field))
      throw usage(`${flag}: there is no field ${JSON.stringify(field)}; there are ${FIELDS.join(', ')}`);
    const list = Array.isArray(values) ? values : [values];
    const isRight = OBJECT_FIELDS[field] ?? ((value: unknown) => ['string', 'number'].includes(typeof value));
    const wrong = list.find((value) => !isRight(value));
    if (wrong !== undefined) throw usage(`${flag}: ${JSON.stringify(wrong)} is no value of ${field}`);
    filter[field] = field in OBJECT_FIELDS ? list : list.map(String);
  }
  return checkFilter(flag, filter as FlowFilter);
};

/** What can be wrong with a value is told before anything is asked or read. */
const checkFilter = (flag: string, filter: FlowFilter): FlowFilter => {
  try {
    for (const text of [...(filter.source_label ?? []), ...(filter.destination_label ?? [])])
      parseLabelSelector('label', text);
    for (const text of filter.protocol ?? []) protocolNumber(text);
  } catch (error) {
    throw usage(`${flag}: ${(error as Error).message}`);
  }
  return filter;
};
