// SPDX-License-Identifier: Apache-2.0
/**
 * A policy as plans, one for each hook: what to read of a call, and a flat program that decides about it. No plan says by which
 * means a host attaches it (backends.ts).
 */
import type {
  Action,
  ArgFilter,
  Argument,
  BinaryFilter,
  CapabilityFilter,
  Hook,
  NamespaceFilter,
  RuntimePolicy,
  Selector,
} from '../model.ts';
import { CAPABILITY_SETS, factsOf, NAMESPACES } from '../words.ts';
import {
  encodeProgram,
  type FilterKind,
  type FilterRecord,
  FLAG,
  INLINE_VALUES,
  NO_TABLE,
  type SelectorRecord,
} from './layout.ts';
import { disjoint, type HostFacts, numbersOf, type Table } from './tables.ts';

export interface SelectorPlan {
  readonly label?: string;
  readonly actions: readonly Action[];
  readonly returnActions: readonly Action[];
}

export interface HookPlan {
  readonly hook: Hook;
  readonly program: Uint8Array;
  readonly tables: readonly Table[];
  readonly selectors: readonly SelectorPlan[];
  /** Enforcing actions are counted, not taken. */
  readonly monitor: boolean;
}

export interface PolicyPlan {
  readonly hooks: readonly HookPlan[];
  /** Why a hook cannot be decided on this host: nothing of it may be attached. */
  readonly unresolved: readonly { readonly path: string; readonly message: string }[];
}

const flags = (bits: readonly (number | false)[]): number => bits.reduce<number>((all, bit) => all | (bit || 0), 0);

interface Making {
  readonly tables: Table[];
  readonly policy: RuntimePolicy;
  readonly host: HostFacts;
  readonly unresolved: (message: string) => void;
}

const table = ({ tables }: Making, one: Table): number => tables.push(one) - 1;

const blank = (kind: FilterKind): FilterRecord => ({
  kind,
  comparison: 'equal',
  slot: 0,
  otherSlot: 0,
  flags: 0,
  bits: 0,
  table: NO_TABLE,
  values: [],
});

const withNumbers = (making: Making, record: FilterRecord, values: ArgFilter['values']): FilterRecord => {
  const ranges = disjoint(numbersOf(values, making.policy.lists, making.host, making.unresolved));
  const singles = ranges.every(({ from, to }) => from === to);
  if (singles && ranges.length <= INLINE_VALUES && ranges.length > 0) {
    return { ...record, values: ranges.map(({ from }) => from) };
  }
  return { ...record, table: table(making, { kind: 'ranges', ranges }) };
};

const argRecord = (making: Making, kind: FilterKind, filter: ArgFilter, args: readonly Argument[]): FilterRecord => {
  const { comparison, negated, slots, values } = filter;
  const type = args[slots[0] ?? 0]?.type ?? 'auto';
  const { class: name, bits = 64 } = factsOf(type);
  const isNumber = name === 'signed' || name === 'unsigned';
  const record: FilterRecord = {
    ...blank(kind),
    comparison,
    slot: slots[0] ?? 0,
    otherSlot: slots[1] ?? 0,
    flags: flags([negated && FLAG.negated, name === 'signed' && FLAG.signed]),
    bits: isNumber ? bits : 0,
  };
  switch (comparison) {
    case 'mask': {
      // Any bit of any mask.
      const mask = values.reduce((all, value) => (value.kind === 'number' ? all | value.from : all), 0n);
      return { ...record, values: [mask] };
    }
    case 'prefix':
    case 'postfix':
    case 'substring':
    case 'substring-any-case':
      return withTexts(making, record, values);
    case 'equal':
      return isNumber || name === 'capabilities'
        ? withNumbers(making, record, values)
        : withTexts(making, record, values);
    case 'source-address':
    case 'destination-address': {
      const prefixes = values.flatMap((value) => (value.kind === 'prefix' ? [value] : []));
      return { ...record, table: table(making, { kind: 'prefixes', prefixes }) };
    }
    case 'source-port-privileged':
    case 'destination-port-privileged':
    case 'capabilities-gained':
      return record;
    default:
      return withNumbers(making, record, values);
  }
};

const withTexts = (making: Making, record: FilterRecord, values: ArgFilter['values']): FilterRecord => ({
  ...record,
  table: table(making, {
    kind: 'texts',
    texts: values.flatMap((value) => (value.kind === 'text' ? [value.bytes] : [])),
  }),
});

const binaryRecord = (making: Making, kind: FilterKind, filter: BinaryFilter): FilterRecord => ({
  ...blank(kind),
  comparison: filter.comparison,
  flags: flags([filter.negated && FLAG.negated, filter.followChildren && FLAG.follow]),
  table: table(making, { kind: 'texts', texts: filter.values }),
});

const namespaceRecord = ({ namespace, negated, values }: NamespaceFilter): FilterRecord => ({
  ...blank('namespace'),
  slot: NAMESPACES.indexOf(namespace),
  flags: flags([negated && FLAG.negated, values.includes('host') && FLAG.host]),
  values: values.flatMap((value) => (value === 'host' ? [] : [value])),
});

const capabilityRecord = (kind: FilterKind, filter: CapabilityFilter): FilterRecord => ({
  ...blank(kind),
  comparison: 'mask',
  slot: CAPABILITY_SETS.findIndex((name) => name.toLowerCase() === filter.set),
  flags: flags([filter.negated && FLAG.negated, filter.ofNamespace && FLAG.namespace]),
  values: [filter.capabilities],
});

/** What costs least is looked at first: numbers of the process, then its binary, then arguments. */
const selectorRecord = (making: Making, hook: Hook, selector: Selector): SelectorRecord => ({
  filters: [
    ...selector.workloads.slice(0, 1).map(() => ({
      ...blank('workload'),
      table: table(making, { kind: 'workloads', workloads: selector.workloads }),
    })),
    ...selector.pids.map((filter) => ({
      ...blank('pid'),
      flags: flags([
        filter.negated && FLAG.negated,
        filter.followForks && FLAG.follow,
        filter.ofNamespace && FLAG.namespace,
      ]),
      values: filter.pids.map(BigInt),
    })),
    ...selector.namespaces.map(namespaceRecord),
    ...selector.namespaceChanges.map(({ negated, namespaces }) => ({
      ...blank('namespace-change'),
      comparison: 'mask' as const,
      flags: flags([negated && FLAG.negated]),
      values: [namespaces.reduce((bits, name) => bits | (1n << BigInt(NAMESPACES.indexOf(name))), 0n)],
    })),
    ...selector.capabilities.map((filter) => capabilityRecord('capability', filter)),
    ...selector.capabilityChanges.map((filter) => capabilityRecord('capability-change', filter)),
    ...selector.binaries.map((filter) => binaryRecord(making, 'binary', filter)),
    ...selector.parentBinaries.map((filter) => binaryRecord(making, 'parent-binary', filter)),
    ...selector.args.map((filter) => argRecord(making, 'arg', filter, hook.args)),
    ...selector.data.map((filter) => argRecord(making, 'data', filter, hook.data)),
  ],
  returnFilters: selector.returnArgs.map((filter) =>
    argRecord(making, 'return', filter, hook.returnArg ? [hook.returnArg] : []),
  ),
});

export const compileRuntimePolicy = (policy: RuntimePolicy, host: HostFacts = {}): PolicyPlan => {
  const unresolved: { path: string; message: string }[] = [];
  const hooks = policy.hooks.map((hook): HookPlan => {
    const tables: Table[] = [];
    const note = (message: string): void => void unresolved.push({ path: hook.path, message });
    const making: Making = { tables, policy, host, unresolved: note };
    return {
      hook,
      program: encodeProgram(hook.selectors.map((selector) => selectorRecord(making, hook, selector))),
      tables,
      selectors: hook.selectors.map(({ label, actions, returnActions }) => ({
        ...(label === undefined ? {} : { label }),
        actions,
        returnActions,
      })),
      monitor: policy.mode === 'monitor',
    };
  });
  return { hooks, unresolved };
};
