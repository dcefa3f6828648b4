// SPDX-License-Identifier: Apache-2.0
/**
 * How a document is meant to act: `spec.mode` of our own documents, annotations of all others, whose fields are not ours to add to.
 * An annotation with our prefix that nobody knows is refused: it was meant to change something.
 */
import {
  DENY_RESPONSES,
  type DenyResponse,
  type Kind,
  MODES,
  type PolicyDocument,
  type PolicyJson,
  type PolicySpec,
  STAGED_ACTIONS,
} from '../model.ts';
import { joinPath } from './located.ts';
import { type Context, type Field, type Fields, readOneOf, readString } from './reader.ts';
import { annotatedValidity, readValidity } from './validity.ts';

const PREFIX = 'weir.io/';
export const MODE_ANNOTATION = `${PREFIX}mode`;
export const STAGED_ACTION_ANNOTATION = `${PREFIX}staged-action`;
export const STAGES_ANNOTATION = `${PREFIX}stages`;
export const RESPONSE_ANNOTATION = `${PREFIX}deny-response`;
const MODE_ANNOTATIONS = [MODE_ANNOTATION, STAGED_ACTION_ANNOTATION, STAGES_ANNOTATION];
const TIME_ANNOTATIONS = ['not-before', 'not-after', 'schedule', 'time-zone'] as const;
const KNOWN = [...MODE_ANNOTATIONS, RESPONSE_ANNOTATION, ...TIME_ANNOTATIONS.map((name) => `${PREFIX}${name}`)];

/** The document as it is when it is enforced; `name`: of another that it takes the place of. */
export const promoted = (json: PolicyJson, name: string = json.metadata.name): PolicyJson => {
  const { annotations = {}, ...metadata } = json.metadata;
  const kept = Object.fromEntries(Object.entries(annotations).filter(([key]) => !MODE_ANNOTATIONS.includes(key)));
  const some = Object.keys(kept).length > 0 ? { annotations: kept } : {};
  const made = { ...json, metadata: { ...metadata, name, ...some } };
  if (json.kind !== 'FirewallPolicy' || typeof json.spec !== 'object' || json.spec === null) return made;
  const { mode: _, stagedAction: __, stages: ___, ...spec } = json.spec as Record<string, unknown>;
  return { ...made, spec };
};

type Modes = Pick<PolicyDocument, 'mode' | 'staged'>;

const annotationsOf = (context: Context, root: Fields): ReadonlyMap<string, Field> => {
  const metadata = root.get('metadata')?.node;
  const annotations = metadata?.kind === 'map' ? metadata.entries.get('annotations')?.value : undefined;
  const found = new Map<string, Field>();
  if (annotations?.kind !== 'map') return found;
  for (const [key, { keyAt, value }] of annotations.entries) {
    const path = joinPath('metadata.annotations', key);
    if (KNOWN.includes(key)) found.set(key, { node: value, keyAt, path });
    else if (key.startsWith(PREFIX)) {
      context.issues.add(path, keyAt, `${key} is not supported`, { value: key, fix: `use one of ${KNOWN.join(', ')}` });
    }
  }
  return found;
};

const isKey = (text: string): boolean => /^[A-Za-z]+\/[a-z0-9-]+\/[a-z0-9.-]+$/.test(text);

/** `own`: the spec of a document that has the fields itself. */
export const readModes = (context: Context, root: Fields, own: Fields | undefined): Modes => {
  const annotations = annotationsOf(context, root);
  const modeField = own?.get('mode') ?? annotations.get(MODE_ANNOTATION);
  const actionField = own?.get('stagedAction') ?? annotations.get(STAGED_ACTION_ANNOTATION);
  const ofField = own?.get('stages') ?? annotations.get(STAGES_ANNOTATION);
  const mode = (modeField && readOneOf(context, modeField, MODES)) ?? 'enforce';
  const action = (actionField && readOneOf(context, actionField, STAGED_ACTIONS)) ?? 'Set';
  const of = ofField && readString(context, ofField);
  if (ofField && of !== undefined && !isKey(of)) {
    context.issues.add(ofField.path, ofField.node.at, `${JSON.stringify(of)} names no policy`, {
      value: of,
      fix: 'write kind/namespace/name, with - for the namespace of a cluster-wide one',
    });
  }
  for (const field of [actionField, ofField]) {
    if (!field || mode === 'staged') continue;
    context.issues.add(field.path, field.keyAt, 'only a staged policy has it', {
      fix: 'write mode staged, or remove it',
    });
  }
  if (mode !== 'staged') return { mode };
  if (action === 'Delete' && of === undefined && actionField) {
    context.issues.add(actionField.path, actionField.node.at, 'says to delete, but not which policy', {
      value: action,
      fix: 'write stages: kind/namespace/name',
    });
  }
  return { mode, staged: { action, ...(of === undefined ? {} : { of }) } };
};

/** `denyResponse` of a spec or rule; hosts answer nobody yet. */
export const readDenyResponse = (
  context: Context,
  field: Field | undefined,
  onHosts: boolean,
): DenyResponse | undefined => {
  const response = field && readOneOf(context, field, DENY_RESPONSES);
  if (!field || response === undefined || response === 'None' || !onHosts) return response;
  context.issues.add(field.path, field.keyAt, 'what a host refuses is not answered yet', {
    value: response,
    fix: 'remove it, or use endpointSelector',
  });
  return undefined;
};

/** The annotation of a document whose rules are not ours to add to: for all that it refuses. */
export const withDenyResponse = (
  context: Context,
  root: Fields,
  kind: Kind,
  specs: readonly PolicySpec[],
): PolicySpec[] => {
  const field = annotationsOf(context, root).get(RESPONSE_ANNOTATION);
  if (field && kind === 'CiliumCIDRGroup') {
    context.issues.add(field.path, field.keyAt, 'a group refuses nothing', { fix: 'remove it' });
    return [];
  }
  const response = readDenyResponse(
    context,
    field,
    specs.some(({ onHosts }) => onHosts),
  );
  if (response === undefined) return [...specs];
  return specs.map((spec) => ({
    ...spec,
    denyResponse: spec.denyResponse ?? response,
    rules: spec.rules.map((rule) =>
      rule.action === 'deny' ? { ...rule, denyResponse: rule.denyResponse ?? response } : rule,
    ),
  }));
};

/** When a document counts: `spec.validity` (`own`), or annotations. */
export const readTimes = (
  context: Context,
  root: Fields,
  own: Fields | undefined,
  specs: readonly PolicySpec[],
): Pick<PolicyDocument, 'validity'> => {
  const annotations = annotationsOf(context, root);
  const field = own?.get('validity');
  const written = TIME_ANNOTATIONS.map((name) => annotations.get(`${PREFIX}${name}`)).find((one) => one);
  const at = field ?? written;
  if (!at) return {};
  const validity = field
    ? readValidity(context, field)
    : annotatedValidity(context, (name) => annotations.get(`${PREFIX}${name}`));
  if (field && written) {
    context.issues.add(written.path, written.keyAt, 'stands beside spec.validity', { fix: 'keep one of them' });
  }
  if (specs.some(({ onHosts }) => onHosts)) {
    context.issues.add(at.path, at.keyAt, 'the time of a policy for hosts is not supported yet', { fix: 'remove it' });
  }
  if (!validity) return {};
  const refuses = specs.some(
    ({ defaultDeny, rules }) =>
      defaultDeny.ingress || defaultDeny.egress || rules.some(({ action }) => action === 'deny'),
  );
  if (refuses) {
    context.warnings.add(
      'opens-out-of-time',
      at.path,
      at.keyAt,
      'what it refuses is refused in its time only: before and after it, others decide',
      'keep what must always be refused in a policy without a time',
    );
  }
  return { validity };
};
