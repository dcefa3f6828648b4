// SPDX-License-Identifier: Apache-2.0
/** One runtime policy into the maps: its hooks that this kernel and this agent can attach, and why others cannot be. */
import { weir_runtime_limits } from '@weir/bpf';
import type { BpfObject } from '@weir/loader';
import {
  type Choice,
  chooseBackends,
  compileRuntimePolicy,
  ENFORCING,
  type HookPlan,
  isForWorkload,
  type RuntimePolicy,
  type SyscallNumbers,
  syscallNumbers,
} from '@weir/runtime-engine';
import { CannotAttach, sitesOf } from '../../runtime/calls.ts';
import { actionsLeftOut, encodeHook, type HookScope } from '../../runtime/encode.ts';
import type { HookReport, RuntimeReport, SelectedPolicy } from '../../runtime/port.ts';
import type { Held, RuntimeTables } from './runtime-tables.ts';

export interface LoadedHook {
  readonly place: number;
  readonly serial: number;
  readonly flags: number;
  readonly plan: HookPlan;
  /** Site -> the name of what is called there. */
  readonly sites: ReadonlyMap<number, string>;
  readonly held: Held;
  readonly sets: readonly number[];
}

export interface LoadedPolicy {
  readonly report: RuntimeReport;
  readonly hooks: readonly LoadedHook[];
}

export interface Loading {
  readonly object: BpfObject;
  readonly tables: RuntimeTables;
  /** Places of hooks that are somebody's. */
  readonly taken: Set<number>;
  readonly serial: () => number;
}

/** What this agent attaches at; other means are not built into it. */
const FEATURES = ['raw_tracepoint', 'send_signal'];
const BUILT = 'raw_syscalls';
const FLAGS_AT = 4;
const FOLLOWED = 'an ancestor that has ended is not known any more: who is followed no longer is when it is orphaned';

const u32 = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value);
  return out;
};

const isEverybody = ({ kind, scope }: RuntimePolicy): boolean =>
  kind === 'TracingPolicy' && scope.host && scope.workloads && !scope.pods && !scope.containers;

const follows = ({ hook }: HookPlan): boolean =>
  hook.selectors.some(
    ({ pids, binaries, parentBinaries }) =>
      pids.some(({ followForks }) => followForks) ||
      [...binaries, ...parentBinaries].some(({ followChildren }) => followChildren),
  );

const freePlace = (taken: ReadonlySet<number>): number => {
  for (let place = 0; place < weir_runtime_limits.RUNTIME_HOOKS; place++) if (!taken.has(place)) return place;
  throw new CannotAttach(`this host has room for ${weir_runtime_limits.RUNTIME_HOOKS} hooks of runtime policies`);
};

const loadHook = (
  { policy }: SelectedPolicy,
  plan: HookPlan,
  { object, tables, taken, serial }: Loading,
  numbers: SyscallNumbers,
): LoadedHook => {
  const sites = sitesOf(policy, plan.hook, numbers);
  const place = freePlace(taken);
  tables.begin();
  try {
    const { host, workloads } = policy.scope;
    const scope: HookScope | undefined = isEverybody(policy)
      ? undefined
      : { host, workloads: workloads ? tables.addSet((workload) => isForWorkload(policy, workload)) : undefined };
    const own = serial();
    const bytes = encodeHook(plan, own, scope, tables);
    const counts = object.map('runtime_counts');
    const each = weir_runtime_limits.RUNTIME_SELECTORS + 1;
    for (let at = 0; at < each; at++) counts.update(u32(place * each + at), Buffer.alloc(counts.valueStride));
    object.map('runtime_hooks').update(u32(place), bytes);
    taken.add(place);
    const { held, sets } = tables;
    return { place, serial: own, flags: bytes.readUInt32LE(FLAGS_AT), plan, sites, held, sets };
  } catch (error) {
    tables.release(tables.held, tables.sets);
    throw error;
  }
};

const refusal = (choice: Choice, unresolved: readonly string[]): string | undefined => {
  if (choice.backend === 'none') return choice.limits.join('; ');
  if (choice.backend !== BUILT) return `this agent attaches no ${choice.backend}`;
  return unresolved[0];
};

export const loadPolicy = (selected: SelectedPolicy, loading: Loading): LoadedPolicy => {
  const { policy, subject, revision } = selected;
  const numbers = syscallNumbers(process.arch) ?? { native: new Map(), compat: new Map() };
  const choices = chooseBackends(policy, FEATURES);
  const { hooks: plans, unresolved } = compileRuntimePolicy(policy, { syscalls: numbers.native });
  const hooks: LoadedHook[] = [];
  const reports = plans.map((plan, at): HookReport => {
    const { path } = plan.hook;
    const choice = choices[at] as Choice;
    const wrong = unresolved.filter((one) => one.path === path).map(({ message }) => message);
    const none = (limit: string): HookReport => ({ path, backend: 'none', enforces: [], limits: [limit] });
    const refused = refusal(choice, wrong);
    if (refused !== undefined) return none(refused);
    try {
      hooks.push(loadHook(selected, plan, loading, numbers));
    } catch (error) {
      return none((error as Error).message);
    }
    const actions = plan.selectors.flatMap((one) => [...one.actions, ...one.returnActions]);
    const limits = [...choice.limits, ...actionsLeftOut(actions), ...(follows(plan) ? [FOLLOWED] : [])];
    return { path, backend: choice.backend, enforces: policy.mode === 'enforce' ? choice.enforces : [], limits };
  });
  if (policy.loader)
    reports.push({
      path: 'spec.loader',
      backend: 'none',
      enforces: [],
      limits: ['loader events are not told by this agent'],
    });
  return {
    report: {
      key: policy.key,
      subject,
      revision,
      state: stateOf(policy, plans, reports, hooks),
      mode: policy.mode,
      hooks: reports,
    },
    hooks,
  };
};

const stateOf = (
  { mode }: RuntimePolicy,
  plans: readonly HookPlan[],
  reports: readonly HookReport[],
  hooks: readonly LoadedHook[],
): RuntimeReport['state'] => {
  if (hooks.length === 0) return 'error';
  const isWhole = plans.every(({ selectors }, at) => {
    const asked = selectors
      .flatMap(({ actions, returnActions }) => [...actions, ...returnActions])
      .filter(({ action }) => ENFORCING.includes(action));
    const { backend, enforces } = reports[at] as HookReport;
    return backend !== 'none' && (mode !== 'enforce' || asked.every(({ action }) => enforces.includes(action)));
  });
  return isWhole && reports.length === plans.length ? 'loaded' : 'partly';
};
