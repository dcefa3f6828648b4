// SPDX-License-Identifier: Apache-2.0
/**
 * Policies -> the entries of one workload. Selectors give identities, port ranges give prefixes, denials close each identity's
 * trie. Pure and deterministic: equal input gives equal output, in the same order; the compiler keeps caches, never state.
 */
import { ANY_IDENTITY, IDENTITY, MAX_POLICY_ENTRIES, scopeOf } from '../constants.ts';
import {
  type DenyResponse,
  type Direction,
  defaultDenyPath,
  type PolicySpec,
  type Rule,
  TIERS,
  type Tier,
} from '../model.ts';
import { isSubject } from '../subject.ts';
import { ANY_ATOM, type Atom, atom, atomBits, atomPort, atomProtocol, rangeAtoms } from './atoms.ts';
import type { CompiledWorkload, CompileInput, NamedPort, PolicyEntry } from './input.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { createPeerResolver, type PeerResolver } from './peers.ts';
import { closeTrie, layTrie, type Trie, type Verdict } from './trie.ts';
import { policiesIn } from './views.ts';
import { createWorld } from './world.ts';

export interface Compiler {
  compile(input: CompileInput): CompiledWorkload;
}

interface SelectedRule extends Verdict {
  readonly rule: Rule;
}

interface RuleAtoms {
  readonly fixed: readonly Atom[];
  readonly named: readonly { readonly name: string; readonly protocol: number }[];
}

/** What an entry of the datapath can hold. */
const MAX_RANK = 0xffff;
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

const addRule = (ledger: Ledger, selected: SelectedRule, peersOf: PeerResolver, input: CompileInput): void => {
  const { rule } = selected;
  const { fixed, named } = atomsOf(rule);
  const peers = peersOf(rule);
  if (named.length === 0 || rule.direction === 'ingress') {
    const atoms = named.length === 0 ? fixed : [...fixed, ...namedAtoms(named, input.subject.namedPorts)];
    if (atoms.length > 0) ledger.add(selected, atoms, peers);
    return;
  }
  if (fixed.length > 0) ledger.add(selected, fixed, peers);
  // The name is the destination's, so the same rule means another port for each peer.
  for (const [identity, ports] of input.peerNamedPorts ?? []) {
    if (!peers.has(identity)) continue;
    const atoms = namedAtoms(named, ports);
    if (atoms.length > 0) ledger.add(selected, atoms, { key: `#${identity}`, identities: [identity] });
  }
};

interface CompiledTier {
  readonly entries: readonly PolicyEntry[];
  readonly overflow: boolean;
}

const NOTHING: CompiledTier = { entries: [], overflow: false };
const NO_ENTRIES: Trie = new Map();

const compileTier = (
  rules: readonly SelectedRule[],
  peersOf: PeerResolver,
  input: CompileInput,
  egress: boolean,
  tier: Tier,
): CompiledTier => {
  if (rules.length === 0) return NOTHING;
  const ledger = createLedger();
  for (const selected of rules) addRule(ledger, selected, peersOf, input);
  if (ledger.size() > MAX_ATOMS || rules.some(({ rank }) => rank > MAX_RANK)) return { entries: [], overflow: true };
  // Allows of one rank overrule nobody; most policies say nothing else of everybody.
  const forAll = ledger.contributions(ANY_IDENTITY);
  const overrules = tier !== 'Normal' || forAll.some(({ verdict }) => verdict === 'deny');
  const everybody = overrules ? layTrie(forAll) : NO_ENTRIES;
  const closed = new Map<string, readonly [Atom, Verdict][]>();
  const entries: PolicyEntry[] = [];
  for (const { identity, set } of ledger.groups()) {
    let trie = closed.get(set);
    if (!trie) {
      trie = [...closeTrie(ledger.contributions(identity), everybody)].sort(([a], [b]) => a - b);
      closed.set(set, trie);
    }
    for (const [value, { verdict, rank, ruleId, response }] of trie) {
      entries.push({
        egress,
        tier,
        identity,
        protocol: atomProtocol(value),
        port: atomPort(value),
        portPrefixBits: atomBits(value),
        verdict,
        ruleId,
        rank,
        ...(response ? { response } : {}),
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
  tiers: false,
  defaultRuleIngress: 0,
  defaultRuleEgress: 0,
  overflow: false,
  unknownSubject: true,
};

interface SelectedSpec {
  readonly spec: PolicySpec;
  readonly key: string;
  readonly ruleIds: ReadonlyMap<string, number>;
}

const inOrder = (a: SelectedSpec, b: SelectedSpec): number =>
  a.spec.priority - b.spec.priority || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

const verdictOf = (rule: Rule, ruleIds: SelectedSpec['ruleIds']) => ({
  rule,
  verdict: rule.action,
  ruleId: ruleIds.get(rule.path) ?? 0,
  ...(rule.denyResponse === undefined || rule.denyResponse === 'None' ? {} : { response: rule.denyResponse }),
});

/** Of several policies that deny what nobody allows, the one that says most is listened to. */
const defaultResponse = (specs: readonly SelectedSpec[]): DenyResponse | undefined =>
  (['Reset', 'Icmp'] as const).find((wanted) => specs.some(({ spec }) => spec.denyResponse === wanted));

/**
 * Rules of a tier that has an order, the first with the highest rank. Equal priorities are undefined to Kubernetes; here the
 * names of the documents decide, so that every host decides alike.
 */
const ranked = (specs: readonly SelectedSpec[], direction: Direction, tier: Tier): SelectedRule[] => {
  const rules = specs
    .filter(({ spec }) => spec.tier === tier)
    .sort(inOrder)
    .flatMap(({ spec, ruleIds }) =>
      spec.rules.filter((rule) => rule.direction === direction).map((rule) => verdictOf(rule, ruleIds)),
    );
  return rules
    .map((rule, position) => ({ ...rule, rank: rules.length - position }))
    .sort((a, b) => a.ruleId - b.ruleId);
};

/** In ascending order of their numbers, as the ledger wants them. */
const unordered = (specs: readonly SelectedSpec[], direction: Direction): SelectedRule[] =>
  specs
    .filter(({ spec }) => spec.tier === 'Normal')
    .flatMap(({ spec, ruleIds }) =>
      spec.rules
        .filter((rule) => rule.direction === direction)
        .map((rule) => ({ ...verdictOf(rule, ruleIds), rank: 0 })),
    )
    .sort((a, b) => a.ruleId - b.ruleId);

const selectRules = (specs: readonly SelectedSpec[], direction: Direction, tier: Tier): SelectedRule[] =>
  tier === 'Normal' ? unordered(specs, direction) : ranked(specs, direction, tier);

export const createCompiler = (): Compiler => {
  const world = createWorld();
  const peersOf = createPeerResolver(world);
  return {
    compile(input) {
      world.sync(input.identities, input.cidrs);
      const labels = input.subject.labels ?? world.labelsOf(input.subject.identity);
      if (!labels) return CLOSED;
      const specs = policiesIn(input.view ?? 'enforced', input.policies).flatMap(({ doc, ruleIds }) =>
        doc.specs
          .filter((spec) => isSubject(spec, labels))
          .map((spec): SelectedSpec => ({ spec, key: doc.key, ruleIds })),
      );
      const enforced = (direction: Direction) => specs.filter(({ spec }) => spec.defaultDeny[direction]);
      const defaultRule = (direction: Direction): number =>
        lowest(enforced(direction).map(({ spec, ruleIds }) => ruleIds.get(defaultDenyPath(spec, direction)) ?? 0));
      const parts = (['ingress', 'egress'] as const).flatMap((direction) =>
        TIERS.map((tier) =>
          compileTier(selectRules(specs, direction, tier), peersOf, input, direction === 'egress', tier),
        ),
      );
      const entries = parts.flatMap((part) => part.entries);
      const responseIngress = defaultResponse(enforced('ingress'));
      const responseEgress = defaultResponse(enforced('egress'));
      return {
        entries,
        enforceIngress: enforced('ingress').length > 0,
        enforceEgress: enforced('egress').length > 0,
        ipBlock: entries.some(({ identity }) => scopeOf(identity) === IDENTITY.SCOPE_IPBLOCK),
        tiers: entries.some(({ tier }) => tier !== 'Normal'),
        defaultRuleIngress: defaultRule('ingress'),
        defaultRuleEgress: defaultRule('egress'),
        ...(responseIngress ? { responseIngress } : {}),
        ...(responseEgress ? { responseEgress } : {}),
        overflow: parts.some(({ overflow }) => overflow) || entries.length > (input.maxEntries ?? MAX_POLICY_ENTRIES),
        unknownSubject: false,
      };
    },
  };
};

/** One workload, once. Who compiles many or again keeps a compiler (createCompiler): it remembers selectors. */
export const compileWorkload = (input: CompileInput): CompiledWorkload => createCompiler().compile(input);
