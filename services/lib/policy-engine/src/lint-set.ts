// SPDX-License-Identifier: Apache-2.0
/**
 * What is odd about documents as a set, beside what each has by itself (lint.ts): rules that can never decide, rules written twice,
 * workloads whose every way is shut or open, names that nobody can look up. Notes are matters of taste; warnings are worth a look.
 * Only enforced documents are compared: the others decide nothing.
 */
import { type Cidr, cidrContainsIp, PROTOCOLS, parseIp } from '@weir/net';
import { partsOf, portsCover, ruleCovers } from './cover.ts';
import { groupsIn, refersToDirectory, refersToGroups, resolveGroups } from './groups.ts';
import { type LintOptions, lint } from './lint.ts';
import type { Direction, PolicyDocument, PolicySpec, PolicyWarning, Rule } from './model.ts';
import { TIERS } from './model.ts';

export interface Finding extends PolicyWarning {
  readonly policy: string;
  readonly level: 'warning' | 'note';
  /** The rule that is meant, when it is one of another place: policy and path. */
  readonly other?: string;
}

export interface SetOptions extends LintOptions {
  /** Addresses of workloads and hosts: prefixes of Cilium documents never match them. */
  readonly managed?: Iterable<string>;
}

/** A rule where it stands among all. */
interface Placed {
  readonly doc: PolicyDocument;
  readonly spec: PolicySpec;
  readonly rule: Rule;
  /** The lower, the earlier it is asked; equal ones are asked together. */
  readonly turn: readonly [tier: number, priority: number, key: string, position: number];
}

const DIRECTIONS = ['ingress', 'egress'] as const;

const placeAll = (docs: readonly PolicyDocument[]): Placed[] =>
  docs.flatMap((doc) =>
    doc.specs.flatMap((spec) =>
      spec.rules.map((rule, position): Placed => {
        const tier = TIERS.indexOf(spec.tier);
        if (spec.tier !== 'Normal') return { doc, spec, rule, turn: [tier, spec.priority, doc.key, position] };
        return { doc, spec, rule, turn: [tier, rule.action === 'deny' ? 0 : 1, '', 0] };
      }),
    ),
  );

const compareTurns = (a: Placed['turn'], b: Placed['turn']): number => {
  for (const at of [0, 1, 2, 3] as const) {
    if (a[at] !== b[at]) return a[at] < b[at] ? -1 : 1;
  }
  return 0;
};

/** Every set of requirements that a subject covering this one may have; of long selectors not all. */
const widerSubjects = (spec: PolicySpec): readonly string[] => {
  const parts = partsOf(spec.subject);
  if (parts.length > 6) return [spec.subject.text, '', ...parts];
  return Array.from({ length: 2 ** parts.length }, (_, mask) =>
    parts.filter((_part, at) => mask & (1 << at)).join(' & '),
  );
};

const ruleName = ({ doc, rule }: Placed): string => `${rule.path} of ${doc.key}`;

const finding = (
  { doc, rule }: Placed,
  level: Finding['level'],
  code: string,
  message: string,
  fix: string,
  other?: Placed,
): Finding => ({
  policy: doc.key,
  level,
  code,
  message,
  path: rule.path,
  fix,
  ...rule.position,
  ...(other ? { other: ruleName(other) } : {}),
});

/** What an earlier or an equal rule makes of this one. */
const judgeRule = (
  one: Placed,
  candidates: readonly Placed[],
  passedBy: (other: Placed) => boolean,
): Finding | undefined => {
  let same: Placed | undefined;
  for (const other of candidates) {
    if (other === one || other.rule.direction !== one.rule.direction || !ruleCovers(other.rule, one.rule)) continue;
    if (other.spec.onHosts !== one.spec.onHosts) continue;
    const order = compareTurns(other.turn, one.turn);
    const passes = other.spec.tier !== one.spec.tier && (other.rule.action === 'pass' || passedBy(other));
    if (order < 0 && !passes) {
      const message = `never decides: ${ruleName(other)} holds all of it and is asked before`;
      return finding(one, 'warning', 'shadowed-rule', message, 'remove it, or put it before the other', other);
    }
    if (order === 0 && other.rule.action === one.rule.action) same ??= other;
  }
  if (!same) return undefined;
  const isTwin = ruleCovers(one.rule, same.rule) && one.spec.subject.text === same.spec.subject.text;
  // Of two that say the same, the later is the one too many.
  if (isTwin && ruleName(one) < ruleName(same)) return undefined;
  const code = isTwin ? 'duplicate-rule' : 'redundant-rule';
  const message = isTwin ? `says the same as ${ruleName(same)}` : `adds nothing: ${ruleName(same)} holds all of it`;
  return finding(one, 'note', code, message, 'remove one of them', same);
};

const coveredRules = (docs: readonly PolicyDocument[]): Finding[] => {
  const placed = placeAll(docs);
  const bySubject = Map.groupBy(placed, ({ spec }) => spec.subject.text);
  const passes = placed.filter(({ rule }) => rule.action === 'pass');
  // Whom an earlier rule of its tier passes on never comes to it.
  const passedBy = ({ spec, rule, turn }: Placed): boolean =>
    passes.some(
      (pass) =>
        pass.spec.tier === spec.tier && pass.rule.direction === rule.direction && compareTurns(pass.turn, turn) < 0,
    );
  return placed.flatMap((one) => {
    const candidates = widerSubjects(one.spec).flatMap((text) => bySubject.get(text) ?? []);
    return judgeRule(one, candidates, passedBy) ?? [];
  });
};

const subjectKey = ({ subject, onHosts }: PolicySpec): string => `${onHosts ? 'hosts ' : ''}${subject.text}`;

const ofSpec = (
  doc: PolicyDocument,
  spec: PolicySpec,
  level: Finding['level'],
  code: string,
  message: string,
  fix: string,
): Finding => ({ policy: doc.key, level, code, message, path: spec.path, fix, ...spec.position });

const DNS_PORT = 53;
const dns = (protocol: number): Rule['l4'] => [{ kind: 'range', protocol, first: DNS_PORT, last: DNS_PORT }];

/** Workloads that are shut or open altogether, and those that can ask no name. */
const ways = (docs: readonly PolicyDocument[]): Finding[] => {
  const bySubject = Map.groupBy(
    docs.flatMap((doc) => doc.specs.map((spec) => ({ doc, spec }))),
    ({ spec }) => subjectKey(spec),
  );
  return docs.flatMap((doc) =>
    doc.specs.flatMap((spec) => {
      const found: Finding[] = [];
      const together = widerSubjects(spec).flatMap(
        (text) => bySubject.get(subjectKey({ ...spec, subject: { ...spec.subject, text } })) ?? [],
      );
      const allows = (direction: Direction): Rule[] =>
        together.flatMap((one) =>
          one.spec.rules.filter((rule) => rule.direction === direction && rule.action === 'allow'),
        );
      for (const direction of DIRECTIONS) {
        const open = spec.rules.find(
          (rule) =>
            rule.direction === direction && rule.action === 'allow' && rule.peers === 'any' && rule.l4 === 'any',
        );
        if (open) {
          const message = `allows all ${direction} of what it selects`;
          found.push(ofSpec(doc, spec, 'note', `target-all-${direction}-allowed`, message, 'name peers or ports'));
        }
        if (spec.defaultDeny[direction] && allows(direction).length === 0) {
          const message = `no policy allows any ${direction} of what it selects`;
          found.push(
            ofSpec(doc, spec, 'note', `target-all-${direction}-blocked`, message, 'add a rule if that is not meant'),
          );
        }
      }
      if (spec.defaultDeny.egress && allows('egress').length > 0) {
        for (const [name, protocol] of [
          ['udp', PROTOCOLS.UDP],
          ['tcp', PROTOCOLS.TCP],
        ] as const) {
          if (allows('egress').some(({ l4 }) => portsCover(l4, dns(protocol)))) continue;
          const message = `what it selects may ask no name over ${name.toUpperCase()}: nothing allows port ${DNS_PORT}`;
          found.push(ofSpec(doc, spec, 'warning', `dns-blocked-${name}`, message, 'allow egress to the resolvers'));
        }
      }
      return found;
    }),
  );
};

const managedInside = (docs: readonly PolicyDocument[], managed: Iterable<string>): Finding[] => {
  const addresses = [...managed].map((text) => ({ text, bytes: parseIp(text) }));
  const inside = (cidr: Cidr, except: readonly Cidr[]): string | undefined =>
    addresses.find(({ bytes }) => cidrContainsIp(cidr, bytes) && !except.some((hole) => cidrContainsIp(hole, bytes)))
      ?.text;
  return placeAll(docs).flatMap((one) =>
    one.rule.peers === 'any'
      ? []
      : one.rule.peers.flatMap((peer): Finding[] => {
          if (peer.kind !== 'cidr' || peer.ipBlock || peer.cidr.bits === 0) return [];
          const address = inside(peer.cidr, peer.except);
          if (address === undefined) return [];
          const message = `${peer.cidr.text} holds ${address}, a workload or host, which prefixes here never match`;
          return [finding(one, 'warning', 'cidr-covers-managed', message, 'select it by its labels')];
        }),
  );
};

/** What Kubernetes fills in for who leaves it out, and not everybody knows. */
const assumed = (doc: PolicyDocument): Finding[] => {
  const found: Finding[] = [];
  const note = (code: string, path: string, message: string, fix: string): void => {
    found.push({ policy: doc.key, level: 'note', code, path, message, fix, ...doc.position });
  };
  if (doc.namespaceIsDefault) {
    note('no-namespace', 'metadata.namespace', 'names no namespace, so it is default', 'write metadata.namespace');
  }
  if (doc.kind !== 'NetworkPolicy') return found;
  const spec = (doc.json.spec ?? {}) as { policyTypes?: unknown[]; ingress?: unknown[]; egress?: unknown[] };
  if (!spec.policyTypes?.length) {
    note(
      'no-policy-types',
      'spec.policyTypes',
      'leaves policyTypes to its rules: Ingress, and Egress if it has egress rules',
      'write policyTypes',
    );
  }
  for (const section of DIRECTIONS) {
    for (const [at, rule] of (spec[section] ?? []).entries()) {
      const ports = (rule as { ports?: { protocol?: string }[] } | null)?.ports ?? [];
      for (const [index, port] of ports.entries()) {
        if (port.protocol !== undefined) continue;
        note(
          'no-protocol',
          `spec.${section}[${at}].ports[${index}]`,
          'names no protocol, so it is TCP',
          'write protocol: TCP',
        );
      }
    }
  }
  return found;
};

const unknownGroups = (docs: readonly PolicyDocument[]): Finding[] => {
  const names = new Set(groupsIn(docs).map(({ name }) => name));
  return placeAll(docs.filter(refersToGroups)).flatMap((one) =>
    one.rule.peers === 'any'
      ? []
      : one.rule.peers.flatMap((peer): Finding[] => {
          if (peer.kind !== 'group' || peer.of || peer.group === undefined || names.has(peer.group)) return [];
          const message = `there is no CIDR group ${peer.group}, so it is nobody`;
          return [finding(one, 'warning', 'group-unknown', message, 'apply the CiliumCIDRGroup, or correct the name')];
        }),
  );
};

/** Documents of a fleet, or those that somebody is about to apply with those that are in force. */
export const lintPolicies = (docs: readonly PolicyDocument[], options: SetOptions = {}): Finding[] => {
  const enforced = docs.filter(
    // who hosts and services are, and what time it is, changes
    (doc) => doc.mode === 'enforce' && !doc.validity && !refersToDirectory(doc),
  );
  const groups = groupsIn(docs);
  const resolved = enforced.map((doc) => resolveGroups(doc, groups));
  return [
    ...docs.flatMap((doc) => lint(doc, options).map((one): Finding => ({ ...one, policy: doc.key, level: 'warning' }))),
    ...docs.flatMap(assumed),
    ...unknownGroups(enforced),
    ...coveredRules(resolved),
    ...ways(resolved),
    ...(options.managed ? managedInside(resolved, options.managed) : []),
  ];
};
