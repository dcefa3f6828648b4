// SPDX-License-Identifier: Apache-2.0
export type {
  Action,
  ArgFilter,
  Argument,
  Hook,
  HookTarget,
  RuntimePolicy,
  RuntimePolicyJson,
  Scope,
  Selector,
} from './model.ts';
export { parseRuntimePolicies, parseRuntimePolicy, runtimeKey } from './parse/documents.ts';
export {
  type Backend,
  type Choice,
  chooseBackends,
  RUNTIME_FEATURES,
  type RuntimeFeature,
} from './plan/backends.ts';
export { compileRuntimePolicy, type HookPlan, type PolicyPlan } from './plan/compile.ts';
export { type ArgValue, type Call, type Decision, decideCall, decideReturn, type ProcessFacts } from './plan/decide.ts';
export { decodeProgram, type FilterRecord, FLAG, NO_TABLE } from './plan/layout.ts';
export { type HostFacts, syscallName, type Table } from './plan/tables.ts';
export { hostsMatch, isForWorkload, matchesWorkload } from './scope.ts';
export { type SyscallNumbers, syscallNumbers } from './syscalls.ts';
export { ACTIONS, type ArgType, ENFORCING, factsOf, KINDS as RUNTIME_KINDS, NAMESPACES } from './words.ts';
