// SPDX-License-Identifier: Apache-2.0
/**
 * A filter with its names resolved to the numbers and addresses that flows carry. The same conditions become SQL for
 * stored flows and a test for live ones, so both answer alike.
 */
import type { Cidr } from '@weir/net';
import { type LabelSelector, selectorMatches } from '@weir/net';
import type { AddressUse, Directory, FrontendName } from './directory.ts';
import type { FlowFilter, OwnerRef, ServiceRef, Side, Term, WorkloadRef } from './filter.ts';
import { FIRST_LOCAL, fixedLabels, RESERVED } from './identities.ts';

export type Condition =
  | {
      readonly kind: 'in';
      readonly column: 'verdict' | 'protocol' | 'drop_reason' | 'rule_id';
      readonly values: number[];
    }
  | { readonly kind: 'direction'; readonly values: number[] }
  /** What staged policies would do. */
  | { readonly kind: 'pending'; readonly values: number[] }
  | { readonly kind: 'pending_rule'; readonly values: number[] }
  | { readonly kind: 'is_reply'; readonly value: boolean }
  | { readonly kind: 'host'; readonly names: string[] }
  | { readonly kind: 'owner'; readonly of: OwnerRef[] }
  /** The same by numbers of the store, which only stored flows have. */
  | { readonly kind: 'owned'; readonly values: number[] }
  | { readonly kind: 'port'; readonly side: Side; readonly values: number[] }
  /** `local`: those of CIDRs too, which are numbered by each host on its own. */
  | { readonly kind: 'identity'; readonly side: Side; readonly values: number[]; readonly local: boolean }
  | { readonly kind: 'ip'; readonly side: Side; readonly cidrs: Cidr[] }
  | { readonly kind: 'source_xlated'; readonly cidrs: Cidr[] }
  | { readonly kind: 'use'; readonly side: Side; readonly uses: AddressUse[] }
  /** The source serves in replies, else the destination. */
  | { readonly kind: 'frontend'; readonly side: Side; readonly values: number[] };

/** Where inventory writes a workload's namespace among its labels. */
const NAMESPACE_KEY = 'k8s:io.kubernetes.pod.namespace';

const identities = (side: Side, selectors: readonly LabelSelector[], directory: Directory): Condition => {
  const matches = (labels: readonly string[] | undefined): boolean =>
    labels !== undefined && selectors.some((selector) => selectorMatches(selector, labels));
  const reserved = Object.keys(RESERVED).map(Number);
  return {
    kind: 'identity',
    side,
    values: [...reserved.filter((number) => matches(fixedLabels(number))), ...directory.identitiesWith(selectors)],
    local: matches(fixedLabels(FIRST_LOCAL)),
  };
};

const isOf = ({ namespace, name }: WorkloadRef, one: { readonly namespace: string; readonly name: string }): boolean =>
  one.name === name && (namespace === undefined || one.namespace === namespace);

const beginsSo = ({ namespace, name, isPrefix }: ServiceRef, one: FrontendName): boolean =>
  isPrefix && one.name.startsWith(name) && (namespace === undefined || one.namespace === namespace);

const resolveTerm = (term: Term, directory: Directory): Condition => {
  switch (term.kind) {
    case 'verdict':
    case 'protocol':
    case 'drop_reason':
    case 'rule_id':
      return { kind: 'in', column: term.kind, values: term.values };
    case 'direction':
      return { kind: 'direction', values: term.values };
    case 'pending':
      return { kind: 'pending', values: term.values };
    case 'pending_rule_id':
      return { kind: 'pending_rule', values: term.values };
    case 'identity':
      return { ...term, kind: 'identity', local: false };
    case 'label':
      return identities(term.side, term.selectors, directory);
    case 'namespace':
      return identities(
        term.side,
        term.names.map((name) => ({ text: name, terms: [{ key: NAMESPACE_KEY, not: false, values: [name] }] })),
        directory,
      );
    case 'workload':
      return {
        kind: 'use',
        side: term.side,
        uses: directory.usesOf((span) => term.refs.some((ref) => isOf(ref, span))),
      };
    case 'service':
      return {
        kind: 'frontend',
        side: term.side,
        values: directory.frontendsOf((one) => term.refs.some((ref) => isOf(ref, one) || beginsSo(ref, one))),
      };
    default:
      return term;
  }
};

export const resolveFilter = (filter: FlowFilter, directory: Directory): Condition[] =>
  filter.terms.map((term) => resolveTerm(term, directory));
