// SPDX-License-Identifier: Apache-2.0
export { allocateCidrs, type CidrAllocator, type CidrIndex, collectCidrs, createCidrIndex } from './compile/cidrs.ts';
export { type Compiler, compileWorkload, createCompiler } from './compile/compiler.ts';
export type { CompiledWorkload, CompileInput, NamedPort, PolicyEntry, PolicyInput, View } from './compile/input.ts';
export type { IdentityLabels } from './compile/world.ts';
export {
  ANY_IDENTITY,
  IDENTITY,
  ipBlockTwin,
  MAX_POLICY_ENTRIES,
  NAMESPACE_LABEL,
  NAMESPACE_LABELS_PREFIX,
  RESERVED_LABELS,
  scopeOf,
} from './constants.ts';
export { type DnsMatcher, type DnsReading, readDnsName, readDnsPattern } from './dns-pattern.ts';
export {
  type ConsideredRule,
  type Endpoint,
  type ExplainedEnd,
  type ExplainedPolicy,
  type ExplainedRule,
  type ExplainInput,
  type Explanation,
  explain,
  type OtherVerdict,
  type RulePlace,
} from './explain.ts';
export {
  type DirectoryBody,
  directoryGroup,
  groupsIn,
  refersToDirectory,
  refersToGroups,
  resolveGroups,
  withGroups,
} from './groups.ts';
export { ICMP4_TYPES, ICMP6_TYPES, icmpPort } from './icmp.ts';
export { type Judgement, judge, MATCH_TYPES, type MatchType, type Question } from './judge.ts';
export { type Label, parseLabel } from './labels.ts';
export { type LintOptions, lint, selects } from './lint.ts';
export { type Finding, lintPolicies, type SetOptions } from './lint-set.ts';
export {
  type Action,
  type CidrGroup,
  DENY_RESPONSES,
  type DenyResponse,
  type Direction,
  defaultDenyPath,
  type Kind,
  type ListedRule,
  listRules,
  MODES,
  type Peer,
  type PolicyDocument,
  type PolicyJson,
  type PolicyMode,
  type PolicySpec,
  type PolicyWarning,
  type Position,
  STAGED_ACTIONS,
  type StagedAction,
  TIERS,
  type Tier,
} from './model.ts';
export { BALANCER_KINDS, splitBalancer } from './parse/balancer.ts';
export { type ParseResult, parseDocument, parseDocuments, policyKey } from './parse/documents.ts';
export {
  type EgressGatewayBody,
  type EgressGatewayDocument,
  splitEgressGateways,
} from './parse/egress-gateway.ts';
export { MODE_ANNOTATION, promoted } from './parse/modes.ts';
export { type BalancerDocument, placeOf } from './parse/service-body.ts';
export { MAX_BYTES, type ParseOptions } from './parse/text.ts';
export { hostLabels, isSubject } from './subject.ts';
export {
  inItsTime,
  inTheirTime,
  nextChange,
  type Standing,
  standingAt,
  type Validity,
} from './validity.ts';
