// SPDX-License-Identifier: Apache-2.0
/**
 * Policies -> the entries of one workload. Selectors give identities, port ranges give prefixes, denials close each identity's
 * trie. Pure and deterministic: equal input gives equal output, in the same order; the compiler keeps caches, never state.
 */
import { ANY_IDENTITY, IDENTITY, MAX_POLICY_ENTRIES, scopeOf } from '../constants.ts';
import { type Direction, defaultDenyPath, type PolicySpec, type Rule } from '../model.ts';
import { matches } from '../selector.ts';
import { ANY_ATOM, type Atom, atom, atomBits, atomPort, atomProtocol, rangeAtoms } from './atoms.ts';
import type { CompiledWorkload, CompileInput, NamedPort, PolicyEntry } from './input.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { createPeerResolver, type PeerResolver } from './peers.ts';
import { closeTrie, deniedAtoms, type Verdict } from './trie.ts';
import { createWorld } from './world.ts';

export interface Compiler {
  compile(input: CompileInput): CompiledWorkload;
}

interface SelectedRule {
  readonly rule: Rule;
  readonly ruleId: number;
}

interface RuleAtoms {
  readonly fixed: readonly Atom[];
  readonly named: readonly { readonly name: string; readonly protocol: number }[];
}

/** Far more than fits even when denials take most out again: the workload goes into lockdown without the work. */
const MAX_ATOMS = 256 * MAX_POLICY_ENTRIES;

const ruleAtoms = new WeakMap<Rule, RuleAtoms>();
const atomsOf = (rule: Rule): RuleAtoms => {
  let atoms = ruleAtoms.get(rule);
  if (!atoms) {
    const l4 = rule.l4 === 'any' ? [] : rule.l4;
    const fixed = l4.flatMap((one) => (one.kind === 'range' ? rangeAtoms(one.protocol, one.first, one.last) : []));
    atoms = {
      fixed: rule.l4 === 'any' ? [ANY_ATOM] : [...new Set(fixed)].sort((a, b) => a - b),
      named: l4.filter((one) => one.kind === 'named'),
    };
    ruleAtoms.set(rule, atoms);
  }
  return atoms;
};

const namedAtoms = (named: RuleAtoms['named'], ports: readonly NamedPort[]): Atom[] =>
  ports
    .filter(({ name, protocol }) => named.some((one) => one.name === name && one.protocol === protocol))
    .map(({ port, protocol }) => atom(protocol, port, 16));

const addRule = (ledger: Ledger, { rule, ruleId }: SelectedRule, peersOf: PeerResolver, input: CompileInput): void => {
  const { fixed, named } = atomsOf(rule);
  const peers = peersOf(rule);
  const deny = rule.action === 'deny';
  if (named.length === 0 || rule.direction === 'ingress') {
    const atoms = named.length === 0 ? fixed : [...fixed, ...namedAtoms(named, input.subject.namedPorts)];
    if (atoms.length > 0) ledger.add(deny, ruleId, atoms, peers);
    return;
  }
  if (fixed.length > 0) ledger.add(deny, ruleId, fixed, peers);
  // The name is the destination's, so the same rule means another port for each peer.
  for (const [identity, ports] of input.peerNamedPorts ?? []) {
    if (!peers.has(identity)) continue;
    const atoms = namedAtoms(named, ports);
    if (atoms.length > 0) ledger.add(deny, ruleId, atoms, { key: `#${identity}`, identities: [identity] });
  }
};

interface CompiledDirection {
  readonly entries: readonly PolicyEntry[];
  readonly overflow: boolean;
}

const compileDirection = (
  rules: readonly SelectedRule[],
  peersOf: PeerResolver,
  input: CompileInput,
  egress: boolean,
): CompiledDirection => {
  const ledger = createLedger();
  for (const selected of rules) addRule(ledger, selected, peersOf, input);
  if (ledger.size() > MAX_ATOMS) return { entries: [], overflow: true };
  const denied = deniedAtoms(ledger.contributions(ANY_IDENTITY));
  const closed = new Map<string, readonly [Atom, Verdict][]>();
  const entries: PolicyEntry[] = [];
  for (const { identity, set } of ledger.groups()) {
    let trie = closed.get(set);
    if (!trie) {
      trie = [...closeTrie(ledger.contributions(identity), denied)].sort(([a], [b]) => a - b);
      closed.set(set, trie);
    }
    for (const [value, { deny, ruleId }] of trie) {
      entries.push({
        egress,
        identity,
        protocol: atomProtocol(value),
        port: atomPort(value),
        portPrefixBits: atomBits(value),
        deny,
        ruleId,
      });
    }
  }
  return { entries, overflow: false };
};

const lowest = (numbers: readonly number[]): number => (numbers.length === 0 ? 0 : Math.min(...numbers));

const CLOSED: CompiledWorkload = {
  entries: [],
  enforceIngress: true,
  enforceEgress: true,
  ipBlock: false,
  defaultRuleIngress: 0,
  defaultRuleEgress: 0,
  overflow: false,
  unknownSubject: true,
};

interface SelectedSpec {
  readonly spec: PolicySpec;
  readonly ruleIds: ReadonlyMap<string, number>;
}

/** In ascending order of their numbers, as the ledger wants them. */
const selectRules = (specs: readonly SelectedSpec[], direction: Direction): SelectedRule[] =>
  specs
    .flatMap(({ spec, ruleIds }) =>
      spec.rules
        .filter((rule) => rule.direction === direction)
        .map((rule) => ({ rule, ruleId: ruleIds.get(rule.path) ?? 0 })),
    )
    .sort((a, b) => a.ruleId - b.ruleId);

export const createCompiler = (): Compiler => {
  const world = createWorld();
  const peersOf = createPeerResolver(world);
  return {
    compile(input) {
      world.sync(input.identities, input.cidrs);
      const labels = world.labelsOf(input.subject.identity);
      if (!labels) return CLOSED;
      const specs = input.policies.flatMap(({ doc, ruleIds }) =>
        doc.specs.filter(({ subject }) => matches(subject, labels)).map((spec): SelectedSpec => ({ spec, ruleIds })),
      );
      const enforced = (direction: Direction) => specs.filter(({ spec }) => spec.defaultDeny[direction]);
      const defaultRule = (direction: Direction): number =>
        lowest(enforced(direction).map(({ spec, ruleIds }) => ruleIds.get(defaultDenyPath(spec, direction)) ?? 0));
      const ingress = compileDirection(selectRules(specs, 'ingress'), peersOf, input, false);
      const egress = compileDirection(selectRules(specs, 'egress'), peersOf, input, true);
      const entries = [...ingress.entries, ...egress.entries];
      return {
        entries,
        enforceIngress: enforced('ingress').length > 0,
        enforceEgress: enforced('egress').length > 0,
        ipBlock: entries.some(({ identity }) => scopeOf(identity) === IDENTITY.SCOPE_IPBLOCK),
        defaultRuleIngress: defaultRule('ingress'),
        defaultRuleEgress: defaultRule('egress'),
        overflow: ingress.overflow || egress.overflow || entries.length > (input.maxEntries ?? MAX_POLICY_ENTRIES),
        unknownSubject: false,
      };
    },
  };
};

/** One workload, once. Who compiles many or again keeps a compiler (createCompiler): it remembers selectors. */
export const compileWorkload = (input: CompileInput): CompiledWorkload => createCompiler().compile(input);
