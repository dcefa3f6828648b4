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
export type { HostFacts, Table } from './plan/tables.ts';
export { hostsMatch } from './scope.ts';
export { KINDS as RUNTIME_KINDS } from './words.ts';
