// SPDX-License-Identifier: Apache-2.0
/**
 * Selectors of labels and egress gateways as one line of text, in listings and in what `set` takes: the same text both ways.
 * `app=web,tier notin (a,b) on zone=edge`: workloads, and the hosts that they are on. `192.0.2.7 of zone=edge`: an address or an
 * interface, and the hosts that are to have it. Several stand between bars.
 */
import { isIp, type LabelTerm, parseLabelSelector } from '@weir/net';

export interface Selector {
  readonly match_labels?: Readonly<Record<string, string>>;
  readonly match_expressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

export interface WorkloadSelector extends Selector {
  readonly hosts?: Selector;
}

export interface Gateway {
  readonly hosts: Selector;
  readonly interface?: string;
  readonly egress_ip?: string;
}

const ALL = 'all';
const BAR = ' | ';

/** As kubectl writes selectors. */
export const selectorText = ({ match_labels: labels = {}, match_expressions: expressions = [] }: Selector): string => {
  const terms = [
    ...Object.entries(labels).map(([key, value]) => `${key}=${value}`),
    ...expressions.map(({ key, operator, values = [] }) => {
      if (operator === 'Exists') return key;
      return operator === 'DoesNotExist' ? `!${key}` : `${key} ${operator.toLowerCase()} (${values.join(',')})`;
    }),
  ];
  return terms.join(',') || ALL;
};

const expressionOf = ({ key, not, values }: LabelTerm) =>
  values === undefined
    ? { key, operator: not ? 'DoesNotExist' : 'Exists' }
    : { key, operator: not ? 'NotIn' : 'In', values };

/** Throws INVALID_ARGUMENT that names `field`. */
export const readSelector = (field: string, text: string): Selector => {
  const trimmed = text.trim();
  if (trimmed === '' || trimmed === ALL) return {};
  const labels: Record<string, string> = {};
  const expressions: ReturnType<typeof expressionOf>[] = [];
  for (const term of parseLabelSelector(field, trimmed).terms) {
    const [value] = term.values ?? [];
    const isLabel = !term.not && term.values?.length === 1 && !Object.hasOwn(labels, term.key);
    if (isLabel && value !== undefined) labels[term.key] = value;
    else expressions.push(expressionOf(term));
  }
  return {
    ...(Object.keys(labels).length > 0 ? { match_labels: labels } : {}),
    ...(expressions.length > 0 ? { match_expressions: expressions } : {}),
  };
};

const between = (text: string): string[] => (text.trim() === '' ? [] : text.split('|').map((part) => part.trim()));

export const workloadsText = (selectors: readonly WorkloadSelector[]): string =>
  selectors
    .map(({ hosts, ...labels }) => `${selectorText(labels)}${hosts ? ` on ${selectorText(hosts)}` : ''}`)
    .join(BAR);

export const readWorkloads = (field: string, text: string): WorkloadSelector[] =>
  between(text).map((part) => {
    const [labels = '', ...hosts] = part.split(/\son\s/);
    const selector = readSelector(field, labels);
    return hosts.length === 0 ? selector : { ...selector, hosts: readSelector(field, hosts.join(' on ')) };
  });

export const gatewaysText = (gateways: readonly Gateway[]): string =>
  gateways.map((one) => `${one.egress_ip ?? one.interface ?? ''} of ${selectorText(one.hosts)}`).join(BAR);

/** What has no address goes to the service, which says so; undefined: it does not say of which hosts. */
export const readGateways = (field: string, text: string): Gateway[] | undefined => {
  const gateways = between(text).map((part): Gateway | undefined => {
    const [, way = '', hosts] = /^(?:(\S+)\s+)?of(?:\s+(.+))?$/.exec(part) ?? [];
    if (hosts === undefined) return undefined;
    const selector = readSelector(field, hosts);
    if (way === '') return { hosts: selector };
    return isIp(way) ? { hosts: selector, egress_ip: way } : { hosts: selector, interface: way };
  });
  return gateways.every((one) => one !== undefined) ? gateways : undefined;
};
