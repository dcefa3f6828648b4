// SPDX-License-Identifier: Apache-2.0
/** The door: texts and plain objects in, runtime policies out. A document with an issue is not returned. */
import {
  type Context,
  createWarnings,
  type Field,
  type Fields,
  type Issues,
  type Located,
  missing,
  type ParseOptions,
  readMetadata,
  readObject,
  readOneOf,
  readPlain,
  readText,
  refuseVersion,
  type TextResult,
  toPlain,
} from '@weir/policy-engine/reading';
import type { RuntimePolicy } from '../model.ts';
import { API_VERSION, KINDS, type Kind } from '../words.ts';
import { readSpec } from './spec.ts';

export const runtimeKey = (kind: Kind, namespace: string | undefined, name: string): string =>
  `${kind}/${namespace ?? '-'}/${name}`;

const readKind = (context: Context, root: Fields): Kind | undefined => {
  const field = root.get('kind');
  const kind = field
    ? readOneOf(context, field, KINDS)
    : missing(context, root, 'kind', `use one of ${KINDS.join(', ')}`);
  if (kind) refuseVersion(context, root, kind, API_VERSION);
  return kind;
};

const readPolicy = (node: Located, issues: Issues): RuntimePolicy | undefined => {
  const before = issues.list.length;
  const warnings = createWarnings(issues.locate);
  const context: Context = { issues, warnings };
  const field: Field = { node, keyAt: node.at, path: '' };
  const root = readObject(context, field, { fields: ['apiVersion', 'kind', 'metadata', 'spec', 'status'] });
  const kind = root && readKind(context, root);
  if (!root || !kind) return undefined;
  const namespaced = kind === 'TracingPolicyNamespaced';
  const metadata = readMetadata(context, root, namespaced ? 'namespaced' : 'cluster');
  const key = metadata && runtimeKey(kind, metadata.namespace, metadata.name);
  if (key) issues.setDocument(key);
  const specField = root.get('spec') ?? missing(context, root, 'spec', 'write spec: {kprobes: [...]}');
  const spec = specField && readSpec(context, specField, namespaced);
  if (!metadata || !key || !spec || !specField || issues.list.length > before) return undefined;
  const position = issues.locate(node.at);
  return {
    key,
    kind,
    name: metadata.name,
    ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
    json: { apiVersion: API_VERSION, kind, metadata, spec: toPlain(specField.node) },
    ...spec,
    warnings: warnings.list,
    ...(position ? { position } : {}),
  };
};

/** Throws only TOO_LARGE; everything else is an issue. */
export const parseRuntimePolicies = (text: string, options: ParseOptions = {}): TextResult<RuntimePolicy> =>
  readText(text, options, { kinds: KINDS, read: readPolicy });

/** A document that was admitted before; throws a WeirError when it is not valid. */
export const parseRuntimePolicy = (json: unknown): RuntimePolicy => readPlain(json, readPolicy);
