// SPDX-License-Identifier: Apache-2.0
/** Label selectors as both APIs write them: matchLabels and matchExpressions. */
import { NAMESPACE_LABELS_PREFIX } from '../constants.ts';
import { type Operator, type Requirement, splitKey } from '../selector.ts';
import { joinPath } from './located.ts';
import { isLabelKey, isLabelValue, LABEL_KEY_RULE, LABEL_VALUE_RULE } from './names.ts';
import { type Context, type Field, missing, readList, readObject, readOneOf, readString } from './reader.ts';

export interface SelectorSyntax {
  /** Keys may name their source, as in `k8s:app`; without one they get `source`. */
  readonly sources: boolean;
  readonly source: string;
  /** Put before each key: namespace selectors look at the labels that workloads carry for their namespace. */
  readonly keyPrefix?: string;
}

const OPERATORS: readonly Operator[] = ['In', 'NotIn', 'Exists', 'DoesNotExist'];

const readKey = (context: Context, syntax: SelectorSyntax, text: string, path: string, at: number) => {
  const { source, key } = syntax.sources ? splitKey(text, syntax.source) : { source: syntax.source, key: text };
  const longer = key.startsWith(NAMESPACE_LABELS_PREFIX) ? NAMESPACE_LABELS_PREFIX.length : 0;
  if (!isLabelKey(key, longer) || !/^[a-z0-9-]*$/.test(source)) {
    context.issues.add(path, at, `${JSON.stringify(text)} is not a label key`, { value: text, fix: LABEL_KEY_RULE });
    return undefined;
  }
  return { source, key: `${syntax.keyPrefix ?? ''}${key}` };
};

const checkValue = (context: Context, value: string, path: string, at: number): void => {
  if (isLabelValue(value)) return;
  context.issues.add(path, at, `${JSON.stringify(value)} is not a label value`, { value, fix: LABEL_VALUE_RULE });
};

const readMatchLabels = (context: Context, field: Field, syntax: SelectorSyntax): Requirement[] => {
  const { node } = field;
  if (node.kind !== 'map') {
    context.issues.add(field.path, node.at, 'must be an object of texts', { fix: 'write key: "value" pairs' });
    return [];
  }
  const requirements: Requirement[] = [];
  for (const [text, entry] of node.entries) {
    const path = joinPath(field.path, text);
    const name = readKey(context, syntax, text, path, entry.keyAt);
    const value = readString(context, { node: entry.value, keyAt: entry.keyAt, path });
    if (value !== undefined) checkValue(context, value, path, entry.value.at);
    if (name && value !== undefined) requirements.push({ ...name, operator: 'In', values: [value] });
  }
  return requirements;
};

const readExpression = (context: Context, field: Field, syntax: SelectorSyntax): Requirement | undefined => {
  const expression = readObject(context, field, { fields: ['key', 'operator', 'values'] });
  if (!expression) return undefined;
  const keyField = expression.get('key');
  const keyText = keyField ? readString(context, keyField) : missing(context, expression, 'key', 'name a label key');
  const name =
    keyField && keyText !== undefined ? readKey(context, syntax, keyText, keyField.path, keyField.node.at) : undefined;
  const operatorField = expression.get('operator');
  const operator = operatorField
    ? readOneOf(context, operatorField, OPERATORS)
    : missing(context, expression, 'operator', `use one of ${OPERATORS.join(', ')}`);
  const valuesField = expression.get('values');
  const values: string[] = [];
  for (const item of valuesField ? (readList(context, valuesField) ?? []) : []) {
    const value = readString(context, item);
    if (value === undefined) continue;
    checkValue(context, value, item.path, item.node.at);
    values.push(value);
  }
  if (!name || !operator) return undefined;
  const wantsValues = operator === 'In' || operator === 'NotIn';
  const given = valuesField?.node.kind === 'list' ? valuesField.node.items.length : 0;
  if (wantsValues && given === 0) {
    context.issues.add(
      joinPath(field.path, 'values'),
      valuesField?.node.at ?? expression.at,
      `${operator} needs values`,
      {
        fix: 'list at least one value',
      },
    );
    return undefined;
  }
  if (!wantsValues && given > 0) {
    context.issues.add(joinPath(field.path, 'values'), valuesField?.keyAt ?? -1, `${operator} takes no values`, {
      fix: `remove values, or use ${operator === 'Exists' ? 'In' : 'NotIn'}`,
    });
    return undefined;
  }
  return { ...name, operator, values };
};

/** The requirements written; undefined when it is not a selector at all. */
export const readRequirements = (context: Context, field: Field, syntax: SelectorSyntax): Requirement[] | undefined => {
  const selector = readObject(context, field, { fields: ['matchLabels', 'matchExpressions'] });
  if (!selector) return undefined;
  const labels = selector.get('matchLabels');
  const requirements = labels ? readMatchLabels(context, labels, syntax) : [];
  const expressions = selector.get('matchExpressions');
  for (const item of expressions ? (readList(context, expressions) ?? []) : []) {
    const requirement = readExpression(context, item, syntax);
    if (requirement) requirements.push(requirement);
  }
  return requirements;
};
