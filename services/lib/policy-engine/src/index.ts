// SPDX-License-Identifier: Apache-2.0
export { allocateCidrs, type CidrAllocator, type CidrIndex, collectCidrs, createCidrIndex } from './compile/cidrs.ts';
export { type Compiler, compileWorkload, createCompiler } from './compile/compiler.ts';
export type { CompiledWorkload, CompileInput, NamedPort, PolicyEntry, PolicyInput } from './compile/input.ts';
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
  type Endpoint,
  type ExplainedEnd,
  type ExplainedPolicy,
  type ExplainedRule,
  type ExplainInput,
  type Explanation,
  explain,
  type RulePlace,
} from './explain.ts';
export { ICMP4_TYPES, ICMP6_TYPES, icmpPort } from './icmp.ts';
export { type Judgement, judge, MATCH_TYPES, type MatchType, type Question } from './judge.ts';
export { type Label, parseLabel } from './labels.ts';
export { type LintOptions, lint, selects } from './lint.ts';
export {
  type Action,
  type Direction,
  defaultDenyPath,
  type Kind,
  type ListedRule,
  listRules,
  type PolicyDocument,
  type PolicyJson,
  type PolicyWarning,
  type Position,
} from './model.ts';
export { BALANCER_KINDS, splitBalancer } from './parse/balancer.ts';
export {
  MAX_BYTES,
  type ParseOptions,
  type ParseResult,
  parseDocument,
  parseDocuments,
  policyKey,
} from './parse/documents.ts';
export {
  type EgressGatewayBody,
  type EgressGatewayDocument,
  splitEgressGateways,
} from './parse/egress-gateway.ts';
export { type BalancerDocument, placeOf } from './parse/service-body.ts';
