// SPDX-License-Identifier: Apache-2.0
/**
 * How a document is meant to act: `spec.mode` of our own documents, annotations of all others, whose fields are not ours to add to.
 * An annotation with our prefix that nobody knows is refused: it was meant to change something.
 */
import { MODES, type PolicyDocument, type PolicyJson, STAGED_ACTIONS } from '../model.ts';
import { joinPath } from './located.ts';
import { type Context, type Field, type Fields, readOneOf, readString } from './reader.ts';

const PREFIX = 'weir.io/';
export const MODE_ANNOTATION = `${PREFIX}mode`;
export const STAGED_ACTION_ANNOTATION = `${PREFIX}staged-action`;
export const STAGES_ANNOTATION = `${PREFIX}stages`;
const KNOWN = [MODE_ANNOTATION, STAGED_ACTION_ANNOTATION, STAGES_ANNOTATION];

/** The document as it is when it is enforced; `name`: of another that it takes the place of. */
export const promoted = (json: PolicyJson, name: string = json.metadata.name): PolicyJson => {
  const { annotations = {}, ...metadata } = json.metadata;
  const kept = Object.fromEntries(Object.entries(annotations).filter(([key]) => !KNOWN.includes(key)));
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
