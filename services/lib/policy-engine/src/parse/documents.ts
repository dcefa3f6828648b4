// SPDX-License-Identifier: Apache-2.0
/** The door: text or a plain object in, documents and issues out. All or nothing per document: one with an issue is not returned. */
import type { Kind, PolicyDocument, PolicyJson, PolicySpec } from '../model.ts';
import { readCidrGroup } from './cidr-group.ts';
import { readCiliumSpec } from './cilium.ts';
import { readClusterPolicySpec } from './cluster-policy.ts';
import { FIREWALL_SPEC, readFirewallSpec } from './firewall-policy.ts';
import { createIssues, createWarnings, type Issues } from './issues.ts';
import { type Located, toPlain } from './located.ts';
import { readMetadata } from './metadata.ts';
import { readModes, readTimes, withDenyResponse } from './modes.ts';
import { readNetworkPolicySpec } from './network-policy.ts';
import { type Context, type Field, type Fields, missing, NOT_YET, readList, readObject, scalarOf } from './reader.ts';
import { type ParseOptions, readPlain, readText, type TextResult } from './text.ts';

export type ParseResult = TextResult<PolicyDocument>;

const API_VERSIONS: Readonly<Record<Kind, string>> = {
  NetworkPolicy: 'networking.k8s.io/v1',
  CiliumNetworkPolicy: 'cilium.io/v2',
  CiliumClusterwideNetworkPolicy: 'cilium.io/v2',
  ClusterNetworkPolicy: 'policy.networking.k8s.io/v1alpha2',
  FirewallPolicy: 'weir.io/v1',
  CiliumCIDRGroup: 'cilium.io/v2',
};
/** Others that mean the same. */
const FORMER_VERSIONS: Readonly<Partial<Record<Kind, string>>> = { CiliumCIDRGroup: 'cilium.io/v2alpha1' };
const KINDS = Object.keys(API_VERSIONS) as Kind[];
const KINDS_NOT_YET = [
  'AdminNetworkPolicy',
  'BaselineAdminNetworkPolicy',
  'GlobalNetworkPolicy',
  'StagedGlobalNetworkPolicy',
  'StagedKubernetesNetworkPolicy',
  'StagedNetworkPolicy',
];

const RUNTIME = 'weir runtime apply takes it, as does POST /v1/runtime-policies';
/** Kinds that are taken, but not here. */
const ELSEWHERE: ReadonlyMap<unknown, string> = new Map([
  ['TracingPolicy', RUNTIME],
  ['TracingPolicyNamespaced', RUNTIME],
  ['CiliumLocalRedirectPolicy', 'weir apply takes it, as does PUT /v1/services/{id} of the inventory service'],
  ['CiliumEgressGatewayPolicy', 'weir apply takes it, as does PUT /v1/egress-gateways/{name} of the inventory service'],
]);

export const policyKey = (kind: Kind, namespace: string | undefined, name: string): string =>
  `${kind}/${namespace ?? '-'}/${name}`;

const readKind = (context: Context, root: Fields): Kind | undefined => {
  const field = root.get('kind');
  if (!field) return missing(context, root, 'kind', `use one of ${KINDS.join(', ')}`);
  const value = scalarOf(field.node);
  const versionField = root.get('apiVersion');
  if (!(KINDS as unknown[]).includes(value)) {
    const notYet = typeof value === 'string' && KINDS_NOT_YET.includes(value);
    context.issues.add(
      field.path,
      field.node.at,
      `kind ${JSON.stringify(value)} ${notYet ? NOT_YET : 'is not a policy'}`,
      {
        value,
        fix: ELSEWHERE.get(value) ?? `use one of ${KINDS.join(', ')}`,
      },
    );
    return undefined;
  }
  const kind = value as Kind;
  const version = API_VERSIONS[kind];
  if (!versionField) return missing(context, root, 'apiVersion', `write apiVersion: ${version}`);
  const written = scalarOf(versionField.node);
  if (written === version || (written !== undefined && written === FORMER_VERSIONS[kind])) return kind;
  context.issues.add(
    versionField.path,
    versionField.node.at,
    `apiVersion ${JSON.stringify(written)} has no kind ${kind}`,
    {
      value: written,
      fix: `write ${version}`,
    },
  );
  return undefined;
};

/** Kinds with one spec. */
const SINGLE: Readonly<
  Partial<
    Record<
      Kind,
      {
        readonly selector: string;
        readonly read: (context: Context, spec: Field, namespace: string | undefined) => PolicySpec | undefined;
      }
    >
  >
> = {
  NetworkPolicy: {
    selector: 'podSelector',
    read: (context, spec, namespace) => readNetworkPolicySpec(context, spec, namespace ?? ''),
  },
  ClusterNetworkPolicy: { selector: 'subject', read: readClusterPolicySpec },
  FirewallPolicy: { selector: 'endpointSelector', read: readFirewallSpec },
  // Its spec has no rules: it is read as a group.
  CiliumCIDRGroup: { selector: 'externalCIDRs', read: () => undefined },
};

type Scope = Parameters<typeof readMetadata>[2];
const SCOPES: Readonly<Record<Kind, Scope>> = {
  NetworkPolicy: 'namespaced',
  CiliumNetworkPolicy: 'namespaced',
  CiliumClusterwideNetworkPolicy: 'cluster',
  ClusterNetworkPolicy: 'cluster',
  FirewallPolicy: 'either',
  CiliumCIDRGroup: 'cluster',
};

const readSpecs = (context: Context, root: Fields, kind: Kind, namespace: string | undefined): PolicySpec[] => {
  const single = root.get('spec');
  const reader = SINGLE[kind];
  if (reader) {
    if (!single) return missing(context, root, 'spec', `write spec: {${reader.selector}: {}, ...}`) ?? [];
    const spec = reader.read(context, single, namespace);
    return spec ? [spec] : [];
  }
  const many = root.get('specs');
  const fields: Field[] = [...(single ? [single] : []), ...(many ? (readList(context, many) ?? []) : [])];
  if (fields.length === 0) missing(context, root, 'spec', 'write spec: {endpointSelector: {}, ...}');
  return fields.map((field) => readCiliumSpec(context, field, namespace)).filter((spec) => spec !== undefined);
};

/** Of a document of ours, whose mode stands in its spec; what is wrong there is said where the spec is read. */
const ownFields = (root: Fields): Fields | undefined => {
  const spec = root.get('spec');
  const silent: Context = { issues: createIssues(), warnings: createWarnings(() => undefined) };
  return spec && readObject(silent, spec, FIREWALL_SPEC);
};

const hasNamespace = (root: Fields): boolean => {
  const metadata = root.get('metadata')?.node;
  const written = metadata?.kind === 'map' ? metadata.entries.get('namespace') : undefined;
  return written !== undefined && Boolean(scalarOf(written.value));
};

const readPolicy = (node: Located, issues: Issues): PolicyDocument | undefined => {
  const before = issues.list.length;
  const warnings = createWarnings(issues.locate);
  const context: Context = { issues, warnings };
  const field: Field = { node, keyAt: node.at, path: '' };
  const written = node.kind === 'map' ? scalarOf(node.entries.get('kind')?.value ?? node) : undefined;
  const specFields = Object.hasOwn(SINGLE, String(written)) ? ['spec'] : ['spec', 'specs'];
  const root = readObject(context, field, { fields: ['apiVersion', 'kind', 'metadata', ...specFields, 'status'] });
  const kind = root && readKind(context, root);
  if (!root || !kind) return undefined;
  const metadata = readMetadata(context, root, SCOPES[kind]);
  const key = metadata && policyKey(kind, metadata.namespace, metadata.name);
  if (key) issues.setDocument(key);
  const read = readSpecs(context, root, kind, metadata?.namespace ?? (SCOPES[kind] === 'namespaced' ? '' : undefined));
  const own = kind === 'FirewallPolicy' ? ownFields(root) : undefined;
  const modes = readModes(context, root, own);
  const specs = withDenyResponse(context, root, kind, read);
  const times = readTimes(context, root, own, specs);
  if (kind === 'CiliumCIDRGroup' && times.validity) {
    issues.add('metadata.annotations', root.at, 'a group has no time', { fix: 'remove it' });
  }
  if (kind === 'CiliumCIDRGroup' && modes.mode !== 'enforce') {
    issues.add('metadata.annotations', root.at, 'a group has no mode', { value: modes.mode, fix: 'remove it' });
  }
  const spec = root.get('spec');
  const group = kind === 'CiliumCIDRGroup' && metadata && spec ? readCidrGroup(context, spec, metadata) : undefined;
  if (!metadata || !key || issues.list.length > before) return undefined;
  const many = SINGLE[kind] ? undefined : root.get('specs');
  const json: PolicyJson = {
    apiVersion: API_VERSIONS[kind],
    kind,
    metadata,
    ...(spec ? { spec: toPlain(spec.node) } : {}),
    ...(many ? { specs: toPlain(many.node) } : {}),
  };
  return {
    key,
    kind,
    apiVersion: json.apiVersion,
    ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
    ...(SCOPES[kind] === 'namespaced' && !hasNamespace(root) ? { namespaceIsDefault: true } : {}),
    name: metadata.name,
    json,
    ...modes,
    ...times,
    ...(group ? { group } : {}),
    specs,
    warnings: warnings.list,
    position: issues.locate(node.at),
  };
};

/** Throws only TOO_LARGE; everything else is an issue. */
export const parseDocuments = (text: string, options: ParseOptions = {}): ParseResult =>
  readText(text, options, { kinds: KINDS, read: readPolicy });

/** A document that was admitted before, from the bus or the database: plain JSON in, WeirError when it is not valid. */
export const parseDocument = (json: unknown): PolicyDocument => readPlain(json, readPolicy);
