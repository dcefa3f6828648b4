// SPDX-License-Identifier: Apache-2.0
/**
 * Policies -> the entries of one workload. Selectors give identities, port ranges give prefixes, denials close each identity's
 * trie. Pure and deterministic: equal input gives equal output, in the same order; the compiler keeps caches, never state.
 */
import { ANY_IDENTITY, IDENTITY, ipBlockTwin, MAX_POLICY_ENTRIES, scopeOf } from '../constants.ts';
import { type Direction, defaultDenyPath, type PolicySpec, type Rule } from '../model.ts';
import { matches } from '../selector.ts';
import { ANY_ATOM, type Atom, atom, atomBits, atomPort, atomProtocol, rangeAtoms } from './atoms.ts';
import type { CompiledWorkload, CompileInput, NamedPort, PolicyEntry } from './input.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { closeTrie, deniedAtoms, type Verdict } from './trie.ts';
import { createWorld, type World } from './world.ts';

export interface Compiler {
  compile(input: CompileInput): CompiledWorkload;
}

interface SelectedRule {
  readonly rule: Rule;
  readonly ruleId: number;
}

const peersOf = (world: World, rule: Rule): 'any' | ReadonlySet<number> => {
  if (rule.peers === 'any') return 'any';
  const identities = new Set<number>();
  for (const peer of rule.peers) {
    switch (peer.kind) {
      case 'selector':
        for (const identity of world.select(peer.selector)) identities.add(identity);
        break;
      case 'entity':
        if (peer.entity === 'all') return 'any';
        for (const identity of world.entity(peer.entity)) identities.add(identity);
        break;
      case 'cidr':
        for (const identity of world.cidrs().within(peer.cidr, peer.except)) {
          identities.add(identity);
          if (peer.ipBlock) identities.add(ipBlockTwin(identity));
        }
        // A peer outside every known prefix is known by its family only.
        if (peer.cidr.bits === 0 && peer.except.length === 0) {
          identities.add(peer.cidr.family === 4 ? IDENTITY.WORLD_IPV4 : IDENTITY.WORLD_IPV6);
        }
        break;
    }
  }
  if (identities.has(IDENTITY.WORLD_IPV4) && identities.has(IDENTITY.WORLD_IPV6)) identities.add(IDENTITY.WORLD);
  return identities;
};

const namedAtoms = (rule: Rule, ports: readonly NamedPort[]): Atom[] => {
  if (rule.l4 === 'any') return [];
  const named = rule.l4.filter((l4) => l4.kind === 'named');
  return ports
    .filter(({ name, protocol }) => named.some((l4) => l4.name === name && l4.protocol === protocol))
    .map(({ port, protocol }) => atom(protocol, port, 16));
};

const fixedAtoms = (rule: Rule): Atom[] =>
  rule.l4 === 'any'
    ? [ANY_ATOM]
    : rule.l4.flatMap((l4) => (l4.kind === 'range' ? rangeAtoms(l4.protocol, l4.first, l4.last) : []));

const hasNamed = (rule: Rule): boolean => rule.l4 !== 'any' && rule.l4.some(({ kind }) => kind === 'named');

const addRule = (
  ledger: Ledger,
  { rule, ruleId }: SelectedRule,
  peers: 'any' | ReadonlySet<number>,
  input: CompileInput,
): void => {
  const identities: Iterable<number> = peers === 'any' ? [ANY_IDENTITY] : peers;
  const fixed = fixedAtoms(rule);
  const ingressNamed = rule.direction === 'ingress' && hasNamed(rule) ? namedAtoms(rule, input.subject.namedPorts) : [];
  const atoms = [...fixed, ...ingressNamed];
  if (atoms.length > 0) {
    const index = ledger.number(rule.action === 'deny', ruleId, atoms);
    for (const identity of identities) ledger.add(identity, index);
  }
  if (rule.direction === 'ingress' || !hasNamed(rule)) return;
  // The name is the destination's, so the same rule means another port for each peer.
  for (const [identity, ports] of input.peerNamedPorts ?? []) {
    if (peers !== 'any' && !peers.has(identity)) continue;
    const resolved = namedAtoms(rule, ports);
    if (resolved.length > 0) ledger.add(identity, ledger.number(rule.action === 'deny', ruleId, resolved));
  }
};

const compileDirection = (
  world: World,
  rules: readonly SelectedRule[],
  input: CompileInput,
  egress: boolean,
): PolicyEntry[] => {
  const ledger = createLedger();
  for (const selected of rules) addRule(ledger, selected, peersOf(world, selected.rule), input);
  const denied = deniedAtoms(ledger.contributions(ANY_IDENTITY));
  const closed = new Map<number, readonly [Atom, Verdict][]>();
  const entries: PolicyEntry[] = [];
  for (const identity of ledger.identities()) {
    const set = ledger.setOf(identity);
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
  return entries;
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

export const createCompiler = (): Compiler => {
  const world = createWorld();
  return {
    compile(input) {
      world.sync(input.identities, input.cidrs);
      const labels = world.labelsOf(input.subject.identity);
      if (!labels) return CLOSED;
      const specs = input.policies.flatMap(({ doc, ruleIds }) =>
        doc.specs.filter(({ subject }) => matches(subject, labels)).map((spec) => ({ spec, ruleIds })),
      );
      const enforced = (direction: Direction) => specs.filter(({ spec }) => spec.defaultDeny[direction]);
      const defaultRule = (direction: Direction): number =>
        lowest(enforced(direction).map(({ spec, ruleIds }) => ruleIds.get(defaultDenyPath(spec, direction)) ?? 0));
      const rulesOf = (direction: Direction): SelectedRule[] =>
        specs.flatMap(({ spec, ruleIds }) => selectRules(spec, ruleIds, direction));
      const entries = [
        ...compileDirection(world, rulesOf('ingress'), input, false),
        ...compileDirection(world, rulesOf('egress'), input, true),
      ];
      return {
        entries,
        enforceIngress: enforced('ingress').length > 0,
        enforceEgress: enforced('egress').length > 0,
        ipBlock: entries.some(({ identity }) => scopeOf(identity) === IDENTITY.SCOPE_IPBLOCK),
        defaultRuleIngress: defaultRule('ingress'),
        defaultRuleEgress: defaultRule('egress'),
        overflow: entries.length > (input.maxEntries ?? MAX_POLICY_ENTRIES),
        unknownSubject: false,
      };
    },
  };
};

const selectRules = (spec: PolicySpec, ruleIds: ReadonlyMap<string, number>, direction: Direction): SelectedRule[] =>
  spec.rules
    .filter((rule) => rule.direction === direction)
    .map((rule) => ({ rule, ruleId: ruleIds.get(rule.path) ?? 0 }));

/** One workload, once. Who compiles many or again keeps a compiler (createCompiler): it remembers selectors. */
export const compileWorkload = (input: CompileInput): CompiledWorkload => createCompiler().compile(input);
