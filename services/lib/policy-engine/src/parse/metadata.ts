// SPDX-License-Identifier: Apache-2.0
/** `metadata` of every kind. What a Kubernetes server fills in is tolerated and dropped, so exported documents apply as they are. */
import type { PolicyJson } from '../model.ts';
import { joinPath, toPlain } from './located.ts';
import {
  DNS_LABEL_RULE,
  DNS_SUBDOMAIN_RULE,
  isDnsLabel,
  isDnsSubdomain,
  isLabelKey,
  isLabelValue,
  LABEL_KEY_RULE,
  LABEL_VALUE_RULE,
} from './names.ts';
import { type Context, type Field, type Fields, missing, readObject, readString } from './reader.ts';

const FIELDS = ['name', 'namespace', 'labels', 'annotations'];
const SERVER_FIELDS = [
  'creationTimestamp',
  'deletionGracePeriodSeconds',
  'deletionTimestamp',
  'finalizers',
  'generateName',
  'generation',
  'managedFields',
  'ownerReferences',
  'resourceVersion',
  'selfLink',
  'uid',
];

export const DEFAULT_NAMESPACE = 'default';

const checkStringMap = (context: Context, field: Field, asLabels: boolean): void => {
  if (field.node.kind !== 'map') {
    context.issues.add(field.path, field.node.at, 'must be an object of texts', { fix: 'write key: "value" pairs' });
    return;
  }
  for (const [key, { keyAt, value }] of field.node.entries) {
    const path = joinPath(field.path, key);
    const text = readString(context, { node: value, keyAt, path });
    if (asLabels && !isLabelKey(key)) {
      context.issues.add(path, keyAt, `${JSON.stringify(key)} is not a label key`, { value: key, fix: LABEL_KEY_RULE });
    }
    if (asLabels && text !== undefined && !isLabelValue(text)) {
      context.issues.add(path, value.at, `${JSON.stringify(text)} is not a label value`, {
        value: text,
        fix: LABEL_VALUE_RULE,
      });
    }
  }
};

/** Name and namespace, undefined when they are not usable; the JSON keeps what was written. */
export const readMetadata = (
  context: Context,
  document: Fields,
  scope: 'namespaced' | 'cluster' | 'either',
): PolicyJson['metadata'] | undefined => {
  const field = document.get('metadata');
  if (!field) return missing(context, document, 'metadata', 'write metadata: {name: ...}');
  const metadata = readObject(context, field, { fields: [...FIELDS, ...SERVER_FIELDS] });
  if (!metadata) return undefined;
  const nameField = metadata.get('name');
  const name = nameField
    ? readString(context, nameField)
    : missing(context, metadata, 'name', 'give the policy a name');
  if (nameField && name !== undefined && !isDnsSubdomain(name)) {
    const { path, node } = nameField;
    context.issues.add(path, node.at, `${JSON.stringify(name)} is not a valid name`, {
      value: name,
      fix: DNS_SUBDOMAIN_RULE,
    });
  }
  const namespaceField = metadata.get('namespace');
  let namespace = namespaceField ? readString(context, namespaceField) : undefined;
  if (scope === 'cluster') {
    if (namespaceField) {
      context.issues.add(namespaceField.path, namespaceField.keyAt, 'a cluster-wide policy has no namespace', {
        value: namespace,
        fix: 'remove namespace, or use a kind that has one',
      });
    }
  } else if (!namespaceField && scope === 'either') namespace = undefined;
  else if (!namespaceField || namespace === '') namespace = DEFAULT_NAMESPACE;
  else if (namespace !== undefined && !isDnsLabel(namespace)) {
    context.issues.add(
      namespaceField.path,
      namespaceField.node.at,
      `${JSON.stringify(namespace)} is not a valid namespace`,
      {
        value: namespace,
        fix: DNS_LABEL_RULE,
      },
    );
  }
  const labels = metadata.get('labels');
  if (labels) checkStringMap(context, labels, true);
  const annotations = metadata.get('annotations');
  if (annotations) checkStringMap(context, annotations, false);
  if (name === undefined || (scope === 'namespaced' && namespace === undefined)) return undefined;
  return {
    name,
    ...(scope === 'cluster' || namespace === undefined ? {} : { namespace }),
    ...(labels ? { labels: toPlain(labels.node) as Record<string, string> } : {}),
    ...(annotations ? { annotations: toPlain(annotations.node) as Record<string, string> } : {}),
  };
};
