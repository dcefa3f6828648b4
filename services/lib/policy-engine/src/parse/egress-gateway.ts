// SPDX-License-Identifier: Apache-2.0
/**
 * CiliumEgressGatewayPolicy (cilium.io/v2) as an egress gateway of Weir. It is no policy of the policy service, so its documents are
 * taken out of a text before the rest goes there (split.ts).
 */
import { NAMESPACE_LABELS_PREFIX } from '../constants.ts';
import type { Position } from '../model.ts';
import type { Requirement } from '../selector.ts';
import { createWarnings, type Issues } from './issues.ts';
import { readMetadata } from './metadata.ts';
import {
  type Context,
  type Field,
  type Fields,
  missing,
  readList,
  readObject,
  readString,
  refuseVersion,
} from './reader.ts';
import { readRequirements, type SelectorSyntax } from './selector.ts';
import { kindOf, type SplitResult, splitDocuments } from './split.ts';

const KIND = 'CiliumEgressGatewayPolicy';
const API_VERSION = 'cilium.io/v2';
const PLAIN: SelectorSyntax = { sources: false, source: 'any' };
const OF_NAMESPACE: SelectorSyntax = { ...PLAIN, keyPrefix: NAMESPACE_LABELS_PREFIX };

/** weir.bus.v1.LabelSelector as REST writes it. */
export interface GatewaySelector {
  readonly match_labels?: Readonly<Record<string, string>>;
  readonly match_expressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

export interface WorkloadSelector extends GatewaySelector {
  readonly hosts?: GatewaySelector;
}

/** What `PUT /v1/egress-gateways/{name}` takes. */
export interface EgressGatewayBody {
  readonly workloads: readonly WorkloadSelector[];
  readonly destination_cidrs: readonly string[];
  readonly excluded_cidrs: readonly string[];
  readonly gateways: readonly {
    readonly hosts: GatewaySelector;
    readonly interface?: string;
    readonly egress_ip?: string;
  }[];
}

export interface EgressGatewayDocument {
  readonly name: string;
  readonly body: EgressGatewayBody;
  readonly position?: Position;
}

/** What is one value of one key is a label, so that the object reads like what was written. */
export const selectorOf = (requirements: readonly Requirement[]): GatewaySelector => {
  const labels = new Map<string, string>();
  const expressions: NonNullable<GatewaySelector['match_expressions']>[number][] = [];
  for (const { key, operator, values } of requirements) {
    const [value] = values;
    if (operator === 'In' && values.length === 1 && value !== undefined && !labels.has(key)) labels.set(key, value);
    else expressions.push({ key, operator, ...(values.length > 0 ? { values } : {}) });
  }
  return {
    ...(labels.size > 0 ? { match_labels: Object.fromEntries(labels) } : {}),
    ...(expressions.length > 0 ? { match_expressions: expressions } : {}),
  };
};

const readSelector = (context: Context, field: Field): WorkloadSelector | undefined => {
  const selector = readObject(context, field, { fields: ['podSelector', 'namespaceSelector', 'nodeSelector'] });
  const read = (name: string, syntax: SelectorSyntax): readonly Requirement[] => {
    const part = selector?.get(name);
    return part ? (readRequirements(context, part, syntax) ?? []) : [];
  };
  if (!selector) return undefined;
  const labels = selectorOf([...read('podSelector', PLAIN), ...read('namespaceSelector', OF_NAMESPACE)]);
  return selector.get('nodeSelector') ? { ...labels, hosts: selectorOf(read('nodeSelector', PLAIN)) } : labels;
};

const readHop = (context: Context, field: Field): EgressGatewayBody['gateways'][number] | undefined => {
  const hop = readObject(context, field, { fields: ['nodeSelector', 'interface', 'egressIP'] });
  if (!hop) return undefined;
  const nodes = hop.get('nodeSelector');
  const requirements = nodes
    ? readRequirements(context, nodes, PLAIN)
    : missing(context, hop, 'nodeSelector', 'select the hosts, or write {} for any');
  const text = (name: string): string | undefined => {
    const part = hop.get(name);
    return part && readString(context, part);
  };
  const device = text('interface');
  const address = text('egressIP');
  return {
    hosts: selectorOf(requirements ?? []),
    ...(device === undefined ? {} : { interface: device }),
    ...(address === undefined ? {} : { egress_ip: address }),
  };
};

const readTexts = (context: Context, spec: Fields, name: string): string[] => {
  const field = spec.get(name);
  return (field ? (readList(context, field) ?? []) : []).flatMap((item) => readString(context, item) ?? []);
};

const readHops = (context: Context, spec: Fields): EgressGatewayBody['gateways'] => {
  const one = spec.get('egressGateway');
  const many = spec.get('egressGateways');
  if (one && many) {
    context.issues.add(many.path, many.keyAt, 'stands beside egressGateway', { fix: 'write one of both' });
  }
  if (!one && !many) missing(context, spec, 'egressGateway', 'write egressGateway: {nodeSelector: ..., egressIP: ...}');
  const fields = [...(one ? [one] : []), ...(many ? (readList(context, many) ?? []) : [])];
  return fields.flatMap((field) => readHop(context, field) ?? []);
};

const readBody = (context: Context, field: Field): EgressGatewayBody | undefined => {
  const spec = readObject(context, field, {
    fields: ['selectors', 'destinationCIDRs', 'excludedCIDRs', 'egressGateway', 'egressGateways'],
  });
  if (!spec) return undefined;
  const selectors = spec.get('selectors');
  if (!selectors) missing(context, spec, 'selectors', 'select workloads, or write [{}] for all');
  if (!spec.get('destinationCIDRs')) missing(context, spec, 'destinationCIDRs', 'give one CIDR at least: [0.0.0.0/0]');
  return {
    workloads: (selectors ? (readList(context, selectors) ?? []) : []).flatMap(
      (item) => readSelector(context, item) ?? [],
    ),
    destination_cidrs: readTexts(context, spec, 'destinationCIDRs'),
    excluded_cidrs: readTexts(context, spec, 'excludedCIDRs'),
    gateways: readHops(context, spec),
  };
};

const readGateway = (field: Field, issues: Issues): EgressGatewayDocument | undefined => {
  const context: Context = { issues, warnings: createWarnings(issues.locate) };
  const root = readObject(context, field, { fields: ['apiVersion', 'kind', 'metadata', 'spec', 'status'] });
  if (!root) return undefined;
  refuseVersion(context, root, KIND, API_VERSION);
  const metadata = readMetadata(context, root, 'cluster');
  const spec = root.get('spec');
  const body = spec
    ? readBody(context, spec)
    : missing(context, root, 'spec', 'write spec: {selectors, destinationCIDRs, egressGateway}');
  const position = issues.locate(field.node.at);
  return metadata && body && { name: metadata.name, body, ...(position ? { position } : {}) };
};

/** Takes the egress gateways out of a text. Documents of other kinds are not looked at. */
export const splitEgressGateways = (text: string): SplitResult<EgressGatewayDocument> =>
  splitDocuments(text, { words: [KIND], isOurs: (node) => kindOf(node) === KIND, read: readGateway });
