// SPDX-License-Identifier: Apache-2.0
/** What stands beside the hooks: lists, enforcers, options, macros, and whom the policy is for. */
import {
  type Context,
  type Field,
  type Fields,
  joinPath,
  readObject,
  readOneOf,
  readRequirements,
  readString,
} from '@weir/policy-engine/reading';
import type { Hook, NamedList, RuntimePolicy, Scope } from '../model.ts';
import { ENFORCING, LIMITS, LIST_TYPES, OPTIONS, POLICY_MODES } from '../words.ts';
import { flag, given, items, needed, oneOf, refuse, text } from './fields.ts';
import { readContainers, readPods } from './filters.ts';
import { HOOK_FIELDS, readHooks } from './hooks.ts';
import type { Macros } from './selectors.ts';

const FIELDS = [
  ...Object.keys(HOOK_FIELDS),
  'loader',
  'podSelector',
  'containerSelector',
  'hostSelector',
  'nodeSelector',
  'lists',
  'enforcers',
  'options',
  'selectorsMacros',
];

const readLists = (context: Context, spec: Fields): NamedList[] => {
  const lists: NamedList[] = [];
  for (const item of items(context, spec, 'lists', 64)) {
    const list = readObject(context, item, { fields: ['name', 'type', 'values', 'pattern', 'validated'] });
    const name = list && needed(context, list, 'name', 'give the list a name');
    if (!list || name === undefined) continue;
    const type = oneOf(context, list, 'type', LIST_TYPES);
    const values = items(context, list, 'values', 4096).flatMap((value) => readString(context, value) ?? []);
    const pattern = text(context, list, 'pattern');
    const nameField = list.get('name');
    if (nameField && lists.some((other) => other.name === name)) {
      refuse(context, nameField, `the list ${JSON.stringify(name)} is given twice`, name, 'give it another name');
    }
    const valuesField = list.get('values');
    const generated = type === 'generated_syscalls' || type === 'generated_ftrace';
    if (generated && valuesField) {
      refuse(context, valuesField, `a list of type ${type} takes no values`, undefined, 'remove values');
    }
    if (!generated && values.length === 0) {
      context.issues.add(joinPath(list.path, 'values'), list.at, `the list ${JSON.stringify(name)} is empty`, {
        fix: 'write values, or type: generated_syscalls',
      });
    }
    if (type === 'generated_ftrace' && pattern === undefined) {
      context.issues.add(joinPath(list.path, 'pattern'), list.at, 'a list of functions needs a pattern', {
        fix: 'write pattern: "^security_"',
      });
    }
    lists.push({ name, ...given('type', type), values, ...given('pattern', pattern) });
  }
  return lists;
};

const readEnforcers = (context: Context, spec: Fields, lists: readonly NamedList[]): RuntimePolicy['enforcers'] =>
  items(context, spec, 'enforcers', 16).flatMap((item) => {
    const enforcer = readObject(context, item, { fields: ['calls'] });
    if (!enforcer) return [];
    const calls = items(context, enforcer, 'calls', LIMITS.values).flatMap((call) => {
      const written = readString(context, call);
      const list = written === undefined ? undefined : /^list:(.+)$/.exec(written)?.[1];
      if (list !== undefined && !lists.some(({ name }) => name === list)) {
        refuse(context, call, `there is no list ${JSON.stringify(list)}`, written, 'add it to spec.lists');
      }
      return written ?? [];
    });
    if (calls.length === 0) {
      context.issues.add(joinPath(enforcer.path, 'calls'), enforcer.at, 'an enforcer needs calls', {
        fix: 'write calls: ["sys_read"] or ["list:NAME"]',
      });
    }
    return [{ calls }];
  });

const readOptions = (context: Context, spec: Fields): Record<string, string> => {
  const options: Record<string, string> = {};
  for (const item of items(context, spec, 'options', 16)) {
    const option = readObject(context, item, { fields: ['name', 'value'] });
    const nameField = option?.get('name');
    const name = option && nameField ? readOneOf(context, nameField, OPTIONS) : undefined;
    if (option && !nameField) needed(context, option, 'name', `use one of ${OPTIONS.join(', ')}`);
    if (!option || !nameField || name === undefined) continue;
    if (Object.hasOwn(options, name)) {
      refuse(context, nameField, `the option ${name} is given twice`, name, 'remove one of them');
    }
    const valueField = option.get('value');
    const value =
      name === 'policy-mode' && valueField
        ? readOneOf(context, valueField, POLICY_MODES)
        : needed(context, option, 'value', name === 'policy-mode' ? 'write enforce or monitor' : 'write "1" or "0"');
    if (valueField && value !== undefined && name !== 'policy-mode' && !['0', '1', 'true', 'false'].includes(value)) {
      refuse(context, valueField, `${JSON.stringify(value)} is neither on nor off`, value, 'write "1" or "0"');
    }
    if (value !== undefined) options[name] = value;
  }
  return options;
};

const readMacros = (context: Context, spec: Fields): Macros => {
  const field = spec.get('selectorsMacros');
  const fields = new Map<string, Field>();
  if (field && field.node.kind !== 'map') {
    context.issues.add(field.path, field.node.at, 'must be an object', { fix: 'write NAME: {matchBinaries: ...}' });
  } else if (field?.node.kind === 'map') {
    for (const [name, { keyAt, value }] of field.node.entries) {
      fields.set(name, { node: value, keyAt, path: joinPath(field.path, name) });
    }
  }
  return { fields, wrong: new Set() };
};

const isGiven = (field: Field | undefined): field is Field => field !== undefined;

/** 9.5's table: nothing given is everybody; hostSelector {} is the host; the others select among workloads. */
const readScope = (context: Context, spec: Fields, namespaced: boolean): Scope => {
  const podField = spec.get('podSelector');
  const containerField = spec.get('containerSelector');
  const hostField = spec.get('hostSelector');
  const nodeField = spec.get('nodeSelector');
  if (hostField && namespaced) {
    context.issues.add(hostField.path, hostField.keyAt, 'a namespaced policy is not for hosts', {
      fix: 'remove hostSelector, or use kind TracingPolicy',
    });
  } else if (hostField) {
    const given = readObject(context, hostField, { fields: ['matchLabels', 'matchExpressions'] });
    if (given?.get('matchLabels') || given?.get('matchExpressions')) {
      refuse(
        context,
        hostField,
        'hostSelector selects no hosts by label',
        undefined,
        'write hostSelector: {} and nodeSelector',
      );
    }
  }
  const pods = podField && readPods(context, podField);
  const containers = containerField && readContainers(context, containerField);
  const nodes = nodeField && readRequirements(context, nodeField, { sources: false, source: 'any' });
  const selects = isGiven(podField) || isGiven(containerField);
  const host = isGiven(hostField) || !(selects || namespaced);
  return {
    ...given('pods', pods),
    ...given('containers', containers),
    host,
    workloads: selects || namespaced || !isGiven(hostField),
    ...given('nodes', nodes),
  };
};

const modeOf = (hooks: readonly Hook[], options: Readonly<Record<string, string>>): RuntimePolicy['mode'] => {
  const enforces = hooks.some(({ selectors }) =>
    selectors.some(({ actions, returnActions }) =>
      [...actions, ...returnActions].some(({ action }) => ENFORCING.includes(action)),
    ),
  );
  if (!enforces) return 'monitor-only';
  return options['policy-mode'] === 'monitor' ? 'monitor' : 'enforce';
};

const warnOfMode = (
  context: Context,
  spec: Fields,
  mode: RuntimePolicy['mode'],
  options: Readonly<Record<string, string>>,
): void => {
  const field = spec.get('options');
  const written = options['policy-mode'];
  if (mode !== 'monitor-only' || written === undefined || !field) return;
  const said = `policy-mode ${written} changes nothing: no action of it enforces anything`;
  context.warnings.add('mode-without-effect', field.path, field.node.at, said, 'remove it');
};

export type Spec = Pick<RuntimePolicy, 'hooks' | 'loader' | 'lists' | 'enforcers' | 'mode' | 'options' | 'scope'>;

export const readSpec = (context: Context, field: Field, namespaced: boolean): Spec | undefined => {
  const spec = readObject(context, field, { fields: FIELDS });
  if (!spec) return undefined;
  const lists = readLists(context, spec);
  const enforcers = readEnforcers(context, spec, lists);
  const options = readOptions(context, spec);
  const scope = readScope(context, spec, namespaced);
  const hooks = readHooks(context, spec, lists, readMacros(context, spec));
  const loader = flag(context, spec, 'loader');
  if (hooks.length === 0 && !loader && enforcers.length === 0) {
    context.issues.add(spec.path, spec.at, 'has no hooks', {
      fix: `write one of ${Object.keys(HOOK_FIELDS).join(', ')}, or loader: true`,
    });
  }
  const mode = modeOf(hooks, options);
  warnOfMode(context, spec, mode, options);
  return { hooks, loader, lists, enforcers, mode, options, scope };
};
