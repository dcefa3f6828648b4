// SPDX-License-Identifier: Apache-2.0
/** Selectors of a hook: filters on arguments and on the process, and what to do when all of them hold. */
import {
  type Context,
  type Field,
  type Fields,
  joinPath,
  missing,
  readInteger,
  readObject,
  readOneOf,
  readString,
} from '@weir/policy-engine/reading';
import type { ArgFilter, Argument, HookTarget, NamedList, Selector } from '../model.ts';
import { ARG_OPERATOR_NAMES, ARG_OPERATORS, factsOf, LIMITS, OPERATORS_REFUSED } from '../words.ts';
import { readActions } from './actions.ts';
import { items, neededValues, refuse, text, UINT32_MAX, whole } from './fields.ts';
import { PROCESS_FIELDS, readProcessFilters } from './filters.ts';
import { readValue } from './values.ts';

const FIELDS = [
  ...PROCESS_FIELDS,
  'matchArgs',
  'matchData',
  'matchReturnArgs',
  'matchActions',
  'matchReturnActions',
  'macros',
  'label',
];

/** What the selectors of a hook may speak of. */
export interface SelectorScope {
  readonly target: HookTarget['kind'];
  readonly args: readonly Argument[];
  readonly data: readonly Argument[];
  readonly returns: boolean;
  readonly returnArg: Argument | undefined;
  readonly lists: readonly NamedList[];
  readonly macros: Macros;
}

export interface Macros {
  readonly fields: ReadonlyMap<string, Field>;
  /** Told already; saying it again for each use helps nobody. */
  readonly wrong: Set<string>;
}

interface Among {
  readonly name: 'args' | 'data' | 'returnArg';
  readonly all: readonly Argument[];
}

/** Places among the arguments: by `args` (places in the document), or `index` (place in the prototype). */
const slotsOf = (context: Context, filter: Fields, among: Among): number[] => {
  const { all, name } = among;
  const many = filter.get('args');
  if (many) {
    return items(context, filter, 'args', 2).flatMap((item) => {
      const place = readInteger(context, item, 0, UINT32_MAX);
      if (place === undefined) return [];
      if (place < all.length) return [place];
      refuse(
        context,
        item,
        `${name} has no element ${place}`,
        place,
        `use 0 to ${all.length - 1}, or add it to ${name}`,
      );
      return [];
    });
  }
  const field = filter.get('index');
  if (!field) return missing(context, filter, 'index', `say which of ${name} to compare`) ?? [];
  const index = whole(context, filter, 'index');
  if (index === undefined) return [];
  // Data has no place of its own in the call.
  const slot = name === 'data' ? (index < all.length ? index : -1) : all.findIndex((arg) => arg.index === index);
  if (slot >= 0) return [slot];
  const known = name === 'data' ? all.map((_, at) => at) : all.map((arg) => arg.index);
  const fix = known.length > 0 ? `use one of ${known.join(', ')}, or add it to ${name}` : `add it to ${name}`;
  refuse(context, field, `${name} has no argument ${index}`, index, fix);
  return [];
};

const checkLists = (context: Context, item: Field, name: string, lists: readonly NamedList[]): void => {
  if (lists.some((list) => list.name === name)) return;
  const known = lists.map((list) => list.name);
  const fix = known.length > 0 ? `use one of ${known.join(', ')}` : 'add it to spec.lists';
  refuse(context, item, `there is no list ${JSON.stringify(name)}`, name, fix);
};

const readArgFilter = (context: Context, item: Field, among: Among, scope: SelectorScope): ArgFilter | undefined => {
  const filter = readObject(context, item, { fields: ['index', 'args', 'operator', 'values'] });
  if (!filter) return undefined;
  const slots = slotsOf(context, filter, among);
  const field = filter.get('operator');
  if (!field) return missing(context, filter, 'operator', `use one of ${ARG_OPERATOR_NAMES.join(', ')}`);
  const written = readString(context, field);
  const why =
    written !== undefined && Object.hasOwn(OPERATORS_REFUSED, written) ? OPERATORS_REFUSED[written] : undefined;
  if (why) return refuse(context, field, `${written} ${why}`, written, 'compare arguments one by one');
  const name = readOneOf(context, field, ARG_OPERATOR_NAMES);
  const operator = name === undefined ? undefined : ARG_OPERATORS[name];
  if (name === undefined || !operator) return undefined;
  const type = among.all[slots[0] ?? -1]?.type;
  if (type === undefined) return undefined;
  const { class: kind } = factsOf(type);
  if (!operator.classes.includes(kind)) {
    const fitting = ARG_OPERATOR_NAMES.filter((one) => ARG_OPERATORS[one]?.classes.includes(kind));
    const fix =
      type === 'auto'
        ? 'write the type of the argument; auto is known on the host only'
        : fitting.length > 0
          ? `use one of ${fitting.join(', ')}`
          : 'it can be told of, not compared: remove the filter';
    return refuse(context, field, `${name} does not go with the type ${type}`, name, fix);
  }
  const { comparison, negated = false } = operator;
  const wanted = comparison === 'capabilities-gained' ? 2 : 1;
  if (slots.length !== wanted) {
    context.issues.add(filter.path, filter.at, `${name} compares ${wanted} of ${among.name}`, {
      fix: wanted === 2 ? 'write args: [BEFORE, AFTER], places among args' : 'write one index',
    });
    return undefined;
  }
  const valuesField = filter.get('values');
  if (operator.values === 'none') {
    if (valuesField) refuse(context, valuesField, `${name} takes no values`, undefined, 'remove values');
    return { path: filter.path, slots, comparison, negated, values: [] };
  }
  const given = neededValues(context, filter, LIMITS.values);
  if (operator.values === 'one' && given.length > 1 && valuesField) {
    refuse(context, valuesField, `${name} takes one value`, given.length, 'leave one');
  }
  const values = given.flatMap((value) => {
    const read = readValue(context, value, comparison, type);
    if (read?.kind === 'list') checkLists(context, value, read.name, scope.lists);
    return read ?? [];
  });
  return { path: filter.path, slots, comparison, negated, values };
};

const readArgFilters = (
  context: Context,
  selector: Fields,
  name: 'matchArgs' | 'matchData' | 'matchReturnArgs',
  among: Among,
  scope: SelectorScope,
): ArgFilter[] =>
  items(context, selector, name, LIMITS.filtersOfArguments).flatMap(
    (item) => readArgFilter(context, item, among, scope) ?? [],
  );

const checkReturns = (context: Context, selector: Fields, { returns, returnArg }: SelectorScope): void => {
  for (const name of ['matchReturnArgs', 'matchReturnActions']) {
    const field = selector.get(name);
    if (!field || (returns && returnArg)) continue;
    context.issues.add(field.path, field.keyAt, `${name} needs the return value of the hook`, {
      fix: 'write return: true and returnArg: {index: 0, type: int} at the hook',
    });
  }
};

const readOwn = (context: Context, field: Field, scope: SelectorScope): Selector | undefined => {
  const selector = readObject(context, field, { fields: FIELDS });
  if (!selector) return undefined;
  checkReturns(context, selector, scope);
  const label = text(context, selector, 'label');
  const returnArgs = scope.returnArg ? [scope.returnArg] : [];
  return {
    path: selector.path,
    ...(label === undefined ? {} : { label }),
    ...readProcessFilters(context, selector),
    args: readArgFilters(context, selector, 'matchArgs', { name: 'args', all: scope.args }, scope),
    data: readArgFilters(context, selector, 'matchData', { name: 'data', all: scope.data }, scope),
    returnArgs: readArgFilters(context, selector, 'matchReturnArgs', { name: 'returnArg', all: returnArgs }, scope),
    actions: readActions(context, selector, 'matchActions', scope.target),
    returnActions: readActions(context, selector, 'matchReturnActions', scope.target),
  };
};

const joined = (a: Selector, b: Selector): Selector => ({
  ...a,
  pids: [...a.pids, ...b.pids],
  args: [...a.args, ...b.args],
  data: [...a.data, ...b.data],
  returnArgs: [...a.returnArgs, ...b.returnArgs],
  binaries: [...a.binaries, ...b.binaries],
  parentBinaries: [...a.parentBinaries, ...b.parentBinaries],
  namespaces: [...a.namespaces, ...b.namespaces],
  namespaceChanges: [...a.namespaceChanges, ...b.namespaceChanges],
  capabilities: [...a.capabilities, ...b.capabilities],
  capabilityChanges: [...a.capabilityChanges, ...b.capabilityChanges],
  workloads: [...a.workloads, ...b.workloads],
  actions: [...a.actions, ...b.actions],
  returnActions: [...a.returnActions, ...b.returnActions],
});

const readMacro = (context: Context, item: Field, scope: SelectorScope): Selector | undefined => {
  const name = readString(context, item);
  if (name === undefined) return undefined;
  const { fields, wrong } = scope.macros;
  const field = fields.get(name);
  if (!field) {
    const known = [...fields.keys()];
    const fix = known.length > 0 ? `use one of ${known.join(', ')}` : 'add it to spec.selectorsMacros';
    return refuse(context, item, `there is no macro ${JSON.stringify(name)}`, name, fix);
  }
  if (wrong.has(name)) return undefined;
  const before = context.issues.list.length;
  const inner = field.node.kind === 'map' ? field.node.entries.get('macros') : undefined;
  if (inner) {
    context.issues.add(joinPath(field.path, 'macros'), inner.keyAt, 'a macro uses no macros', {
      fix: 'write their filters here',
    });
  }
  const macro = readOwn(context, field, scope);
  if (context.issues.list.length > before) wrong.add(name);
  return macro;
};

const FILTERS_OF_ARGS: readonly ('args' | 'data' | 'returnArgs')[] = ['args', 'data', 'returnArgs'];

export const readSelectors = (context: Context, hook: Fields, scope: SelectorScope): Selector[] =>
  items(context, hook, 'selectors', LIMITS.selectors).flatMap((item) => {
    const own = readOwn(context, item, scope);
    const selector = own && readObject({ ...context, issues: SILENT }, item, { fields: FIELDS });
    if (!own || !selector) return [];
    const macros = items(context, selector, 'macros', 8).flatMap((macro) => readMacro(context, macro, scope) ?? []);
    const whole = macros.reduce(joined, own);
    for (const name of FILTERS_OF_ARGS) {
      if (whole[name].length <= LIMITS.filtersOfArguments) continue;
      context.issues.add(selector.path, selector.at, `has ${whole[name].length} filters of ${name} with its macros`, {
        value: whole[name].length,
        fix: `use ${LIMITS.filtersOfArguments} at most`,
      });
    }
    return [whole];
  });

/** What is wrong with the shape was said when the selector was read. */
const SILENT: Context['issues'] = {
  list: [],
  setDocument: () => {},
  add: () => {},
  locate: () => undefined,
  take: () => {},
};
