// SPDX-License-Identifier: Apache-2.0
/** A hook's plan as the kernel takes it: filters with the places of their tables, selectors with what they do. */
import {
  runtime_hook,
  weir_runtime_action,
  weir_runtime_comparison,
  weir_runtime_filter_kind,
  weir_runtime_hook_flags,
  weir_runtime_limits,
  weir_runtime_rate_scope,
  weir_runtime_read,
  weir_runtime_table,
} from '@weir/bpf';
import {
  type Action,
  decodeProgram,
  ENFORCING,
  type FilterRecord,
  type HookPlan,
  NO_TABLE,
  type Table,
} from '@weir/runtime-engine';
import { CannotAttach, encodeArgs, readOf } from './calls.ts';

const { RUNTIME_ARGS, RUNTIME_SELECTORS, RUNTIME_FILTERS } = weir_runtime_limits;
const VALUES = 4;
const TABLES = {
  texts: weir_runtime_table.RUNTIME_TABLE_TEXTS,
  ranges: weir_runtime_table.RUNTIME_TABLE_RANGES,
  prefixes: weir_runtime_table.RUNTIME_TABLE_PREFIXES,
  workloads: weir_runtime_table.RUNTIME_TABLE_NONE,
} as const;
const SIGKILL = 9;
const RATE = {
  thread: weir_runtime_rate_scope.RUNTIME_RATE_THREAD,
  process: weir_runtime_rate_scope.RUNTIME_RATE_PROCESS,
  global: weir_runtime_rate_scope.RUNTIME_RATE_GLOBAL,
} as const;

const upper = (name: string): string => name.replaceAll('-', '_').toUpperCase();
const kindOf = (name: string): number =>
  (weir_runtime_filter_kind as Readonly<Record<string, number>>)[`RUNTIME_FILTER_${upper(name)}`] as number;
const comparisonOf = (name: string): number =>
  (weir_runtime_comparison as Readonly<Record<string, number>>)[`RUNTIME_${upper(name)}`] as number;

/** Where tables of filters are kept; says where each begins. */
export interface TablePlaces {
  place(table: Table): { readonly first: number; readonly entries: number };
}

/** What the programs cannot look at. */
const REFUSED: Readonly<Record<string, string>> = {
  data: 'data is not read at system calls by this agent',
  'namespace-change': 'matchNamespaceChanges is not judged by this agent',
  'capability-change': 'matchCapabilityChanges is not judged by this agent',
  substring: 'SubString is not judged by this agent',
  'substring-any-case': 'SubStringIgnCase is not judged by this agent',
};

const encodeFilter = (record: FilterRecord, tables: readonly Table[], places: TablePlaces) => {
  const { kind, comparison, slot, otherSlot, flags, bits, table, values } = record;
  const refused = REFUSED[kind] ?? REFUSED[comparison];
  if (refused !== undefined) throw new CannotAttach(refused);
  if (values.length > VALUES) throw new CannotAttach(`at most ${VALUES} values of ${kind} are judged`);
  const found = table === NO_TABLE ? undefined : tables[table];
  return {
    kind: kindOf(kind),
    comparison: comparisonOf(comparison),
    ...{ slot, other_slot: otherSlot, flags, bits },
    values_count: values.length,
    table: found ? TABLES[found.kind] : weir_runtime_table.RUNTIME_TABLE_NONE,
    ...(found ? places.place(found) : { first: 0, entries: 0 }),
    values: Array.from({ length: VALUES }, (_, at) => BigInt.asUintN(64, values[at] ?? 0n)),
  };
};

const NO_FILTER = {
  ...{ kind: 0, comparison: 0, slot: 0, other_slot: 0, flags: 0, bits: 0, values_count: 0, table: 0 },
  ...{ first: 0, entries: 0, values: Array.from({ length: VALUES }, () => 0n) },
};
const NO_ACTIONS = { bits: weir_runtime_action.RUNTIME_ACTION_POST as number, signal: 0, rate_scope: 0, rate_ms: 0 };
const NO_SELECTOR = { first: 0, filters: 0, return_filters: 0, actions: NO_ACTIONS, return_actions: NO_ACTIONS };
const NO_ARG = { read: 0, place: 0, size_place: 0, flags: 0 };

const signalOf = (actions: readonly Action[]): number =>
  actions.some(({ action }) => action === 'Sigkill')
    ? SIGKILL
    : (actions.find(({ action, argSig }) => (action === 'Signal' || action === 'NotifyEnforcer') && argSig)?.argSig ??
      0);

const encodeActions = (actions: readonly Action[], monitor: boolean) => {
  const { rateLimitMs = 0, rateLimitScope = 'thread' } = actions.find(({ action }) => action === 'Post') ?? {};
  const signal = signalOf(actions);
  const { RUNTIME_ACTION_POST, RUNTIME_ACTION_SIGNAL, RUNTIME_ACTION_MONITORED } = weir_runtime_action;
  return {
    bits:
      (actions.some(({ action }) => action === 'NoPost') ? 0 : RUNTIME_ACTION_POST) |
      (signal ? RUNTIME_ACTION_SIGNAL : 0) |
      (signal && monitor ? RUNTIME_ACTION_MONITORED : 0),
    signal,
    rate_scope: RATE[rateLimitScope],
    rate_ms: rateLimitMs,
  };
};

/** Actions that this agent does not take, and which the means does not say already. */
export const actionsLeftOut = (actions: readonly Action[]): string[] => {
  const said = actions.flatMap(({ action, kernelStackTrace, userStackTrace, imaHash }) => [
    ...(kernelStackTrace || userStackTrace ? ['stack traces are not collected'] : []),
    ...(imaHash ? ['hashes of files are not told'] : []),
    ...(['GetUrl', 'DnsLookup', 'TrackSock', 'UntrackSock'].includes(action) ? [`${action} is not done`] : []),
    ...(ENFORCING.includes(action) && action === 'Set' ? ['Set is not done'] : []),
  ]);
  return [...new Set(said)];
};

const padded = <T>(items: readonly T[], length: number, blank: T, what: string): T[] => {
  if (items.length > length) throw new CannotAttach(`at most ${length} ${what} of a hook are judged`);
  return [...items, ...Array.from({ length: length - items.length }, () => blank)];
};

export interface HookScope {
  /** Undefined: it is for everybody. */
  readonly host: boolean;
  readonly workloads: number | undefined;
}

/** Bytes of struct runtime_hook. */
export const encodeHook = (
  { hook, program, tables, selectors, monitor }: HookPlan,
  serial: number,
  scope: HookScope | undefined,
  places: TablePlaces,
): Buffer => {
  const records = decodeProgram(program);
  const flags = weir_runtime_hook_flags;
  const args = encodeArgs(hook);
  const filters: ReturnType<typeof encodeFilter>[] = [];
  const encoded = records.map(({ filters: own, returnFilters }, index) => {
    const first = filters.length;
    for (const record of [...own, ...returnFilters]) filters.push(encodeFilter(record, tables, places));
    return {
      first,
      filters: own.length,
      return_filters: returnFilters.length,
      actions: encodeActions(selectors[index]?.actions ?? [], monitor),
      return_actions: encodeActions(selectors[index]?.returnActions ?? [], monitor),
    };
  });
  return runtime_hook.encode({
    serial,
    flags:
      (hook.returns ? flags.RUNTIME_HOOK_RETURNS : 0) |
      (scope ? flags.RUNTIME_HOOK_SCOPED : 0) |
      (scope?.host ? flags.RUNTIME_HOOK_OF_HOST : 0) |
      (scope?.workloads !== undefined ? flags.RUNTIME_HOOK_OF_WORKLOADS : 0),
    workloads: scope?.workloads ?? 0,
    args_count: args.length,
    selectors_count: encoded.length,
    return_read: hook.returnArg ? readOf(hook.returnArg.type) : weir_runtime_read.RUNTIME_READ_NUMBER,
    args: padded(args, RUNTIME_ARGS, NO_ARG, 'arguments'),
    selectors: padded(encoded, RUNTIME_SELECTORS, NO_SELECTOR, 'selectors'),
    filters: padded(filters, RUNTIME_FILTERS, NO_FILTER, 'filters'),
  });
};
