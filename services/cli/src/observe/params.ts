// SPDX-License-Identifier: Apache-2.0
/**
 * What of the filters the service can do itself. Its answer holds at least every flow that is wanted; whether it
 * holds others too decides if they are sifted here.
 */
import { END_FLAGS, type FilterBuilder, splitFlag } from './builder.ts';

/** Parameters of GET /v1/flows, by flag; flags that are not here the service does not know. */
const PLAIN: Readonly<Record<string, string>> = {
  verdict: 'verdict',
  protocol: 'protocol',
  host: 'host',
  'node-name': 'host',
  'traffic-direction': 'direction',
  direction: 'direction',
  'drop-reason': 'drop_reason',
  'drop-reason-desc': 'drop_reason',
  'rule-id': 'rule_id',
  pending: 'pending',
  'pending-rule-id': 'pending_rule_id',
  'snat-ip': 'source_xlated',
  'exec-id': 'exec_id',
  process: 'process',
  unit: 'unit',
  uid: 'uid',
  'is-reply': 'is_reply',
};
const ENDS = new Set(['ip', 'workload', 'namespace', 'label', 'identity', 'port', 'service']);

const parameterOf = (flag: string, value: string): string | undefined => {
  const { end, name } = splitFlag(flag);
  if (ENDS.has(name)) return end === undefined ? name : `${end}_${name}`;
  const parameter = PLAIN[flag];
  // The service knows hosts by their whole name.
  return parameter === 'host' && /[*/]/.test(value) ? undefined : parameter;
};

/** A service is named by how its name begins. */
const parameterValue = (flag: string, value: string): string =>
  splitFlag(flag).name === 'service' ? `${value}*` : value;

/** Flags of one group are alternatives to each other. */
const groupOf = (flag: string): string => {
  const { end = '', name } = splitFlag(flag);
  return name in END_FLAGS ? `${end} ${END_FLAGS[name as keyof typeof END_FLAGS]}` : (PLAIN[flag] ?? flag);
};

export interface ServiceFilter {
  readonly query: URLSearchParams;
  /** The service's answer is exactly what is wanted. */
  readonly isExact: boolean;
}

export const serviceFilter = (builder: FilterBuilder, denies: boolean): ServiceFilter => {
  const query = new URLSearchParams();
  // Filters as JSON are alternatives to all the flags: only here can both be asked.
  if (builder.hasRaw) return { query, isExact: false };
  let isExact = !denies;
  const groups = Map.groupBy(builder.given, ({ flag }) => groupOf(flag));
  for (const flags of groups.values()) {
    const asked = flags.map(({ flag, value }) => ({
      parameter: parameterOf(flag, value),
      value: parameterValue(flag, value),
    }));
    if (new Set(asked.map(({ parameter }) => parameter)).size > 1 || asked[0]?.parameter === undefined) isExact = false;
    else for (const { parameter, value } of asked) query.append(parameter as string, value);
  }
  // Two flags of either end mean the same end, which the service cannot be asked.
  const either = [...groups.keys()].filter((group) => group.startsWith(' '));
  return { query, isExact: isExact && either.length < 2 };
};
