// SPDX-License-Identifier: Apache-2.0
/**
 * Why a flow passes or not, at both ends, by the compiler and the judge that enforce it. A flow passes only when its source may
 * send it (egress) and its destination may receive it (ingress); an end that is no workload is not asked.
 */
import { PROTOCOLS, parseIp, protocolName } from '@weir/net';
import { allocateCidrs, type CidrAllocator, collectCidrs, createCidrIndex } from './compile/cidrs.ts';
import { compileWorkload } from './compile/compiler.ts';
import type { NamedPort, PolicyInput } from './compile/input.ts';
import type { IdentityLabels } from './compile/world.ts';
import { IDENTITY, ipBlockTwin, scopeOf } from './constants.ts';
import { type Judgement, judge } from './judge.ts';
import { type Direction, type ListedRule, listRules, type PolicyDocument } from './model.ts';

/** A workload by identity or labels (with its address, if ipBlock rules matter), or anything else by its address. */
export interface Endpoint {
  readonly name?: string;
  readonly identity?: number;
  readonly labels?: readonly string[];
  readonly ip?: string;
  readonly namedPorts?: readonly NamedPort[];
}

/** Where a rule is written, when that is known better than by its line in the text that was parsed. */
export interface RulePlace {
  readonly file?: string;
  readonly line?: number;
}

export interface ExplainedPolicy extends PolicyInput {
  /** By the path of the rule. */
  readonly places?: ReadonlyMap<string, RulePlace>;
}

export interface ExplainInput {
  readonly policies: readonly ExplainedPolicy[];
  readonly identities?: IdentityLabels;
  readonly cidrs?: CidrAllocator;
  readonly from: Endpoint;
  readonly to: Endpoint;
  /** IANA number. */
  readonly protocol: number;
  /** For ICMP: icmpPort(type). */
  readonly port: number;
  readonly allowHost?: boolean;
}

export interface ExplainedRule extends ListedRule, RulePlace {
  /** Number of the rule, 0 when it has none yet. */
  readonly id: number;
  readonly policy: string;
}

export interface ExplainedEnd {
  readonly direction: Direction;
  readonly verdict: 'allow' | 'deny';
  readonly reason: Judgement['reason'] | 'not-a-workload' | 'unknown-workload';
  readonly matchType: Judgement['matchType'];
  readonly rule?: ExplainedRule;
  readonly text: string;
}

export interface Explanation {
  readonly verdict: 'allow' | 'deny';
  readonly egress: ExplainedEnd;
  readonly ingress: ExplainedEnd;
  /** The whole answer, one sentence a line. */
  readonly text: string;
}

interface Resolved {
  readonly identity: number;
  readonly twin?: number;
  readonly workload: boolean;
  readonly name: string;
  readonly namedPorts: readonly NamedPort[];
}

// Behind every identity that inventory gives, before the host-local ones.
const FIRST_MADE_UP = 0x00ff0000;

/** Rules by number; those without a number get one that nobody else has. */
const numberRules = (policies: readonly ExplainedPolicy[]) => {
  const rules = new Map<number, ExplainedRule>();
  let unnumbered = 0x40000000;
  const numbered = policies.map(({ doc, ruleIds, places }) => {
    const ids = new Map<string, number>();
    for (const rule of listRules(doc)) {
      const given = ruleIds.get(rule.path);
      const id = given ?? unnumbered++;
      ids.set(rule.path, id);
      rules.set(id, { ...rule, ...places?.get(rule.path), id: given ?? 0, policy: doc.key });
    }
    return { doc, ruleIds: ids };
  });
  return { rules, numbered };
};

const describeRule = (rule: ExplainedRule): string => {
  const line = rule.line === undefined ? '' : `, ${rule.file === undefined ? 'line ' : `${rule.file}:`}${rule.line}`;
  const description = rule.description === undefined ? '' : ` (${rule.description})`;
  return `${rule.path} of ${rule.policy}${line}${description}`;
};

const sentence = (
  end: Resolved,
  judgement: Judgement,
  direction: Direction,
  rule: ExplainedRule | undefined,
): string => {
  const who = `${direction} of ${end.name}`;
  switch (judgement.reason) {
    case 'host':
      return `${who}: allowed, because the host may always reach its own workloads`;
    case 'default-allow':
      return `${who}: allowed, because no policy restricts its ${direction}`;
    case 'default-deny':
      return `${who}: refused, because no rule allows it${rule ? `; default deny by ${describeRule(rule)}` : ''}`;
    case 'rule':
      return `${who}: ${judgement.verdict === 'deny' ? 'denied' : 'allowed'} by ${rule ? describeRule(rule) : 'a rule'}`;
  }
};

const describeFlow = (protocol: number, port: number): string => {
  const name = protocolName(protocol);
  const icmp = protocol === PROTOCOLS.ICMP || protocol === PROTOCOLS.ICMPv6;
  return icmp ? `${name} type ${port >> 8}` : `${name}/${port}`;
};

const sameLabels = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && [...a].sort().join('\n') === [...b].sort().join('\n');

export const explain = (input: ExplainInput): Explanation => {
  const identities = new Map(input.identities ?? []);
  const docs: PolicyDocument[] = input.policies.map(({ doc }) => doc);
  const cidrs = input.cidrs ?? allocateCidrs(collectCidrs(docs));
  const index = createCidrIndex(cidrs);
  const { rules, numbered } = numberRules(input.policies);
  let madeUp = FIRST_MADE_UP;

  const identityOf = (end: Endpoint): number => {
    if (end.identity !== undefined) return end.identity;
    if (end.labels) {
      const { labels } = end;
      for (const [identity, known] of identities) if (sameLabels(known, labels)) return identity;
      identities.set(madeUp, labels);
      return madeUp++;
    }
    if (end.ip === undefined) return IDENTITY.WORLD;
    const address = parseIp(end.ip);
    return index.lookup(address) ?? (end.ip.includes(':') ? IDENTITY.WORLD_IPV6 : IDENTITY.WORLD_IPV4);
  };
  const resolve = (end: Endpoint): Resolved => {
    const identity = identityOf(end);
    if (end.labels && !identities.has(identity)) identities.set(identity, end.labels);
    const cidr =
      end.ip === undefined || scopeOf(identity) === IDENTITY.SCOPE_CIDR ? undefined : index.lookup(parseIp(end.ip));
    return {
      identity,
      ...(cidr === undefined ? {} : { twin: ipBlockTwin(cidr) }),
      workload: identity === IDENTITY.INIT || (identity >= IDENTITY.FIRST_ALLOCATED && scopeOf(identity) === 0),
      name: end.name ?? end.ip ?? end.labels?.join(',') ?? `identity ${identity}`,
      namedPorts: end.namedPorts ?? [],
    };
  };
  const from = resolve(input.from);
  const to = resolve(input.to);
  const peerNamedPorts = new Map([[to.identity, to.namedPorts]]);

  const side = (direction: Direction, subject: Resolved, peer: Resolved): ExplainedEnd => {
    const open = { direction, verdict: 'allow', matchType: 'none' } as const;
    if (!subject.workload) {
      return {
        ...open,
        reason: 'not-a-workload',
        text: `${direction} of ${subject.name}: not asked, it is no workload`,
      };
    }
    const compiled = compileWorkload({ identities, policies: numbered, cidrs, subject, peerNamedPorts });
    if (compiled.unknownSubject) {
      const text = `${direction} of ${subject.name}: refused, because its identity ${subject.identity} has no labels`;
      return { direction, verdict: 'deny', matchType: 'none', reason: 'unknown-workload', text };
    }
    const judgement = judge(compiled, {
      direction,
      peerIdentity: peer.identity,
      ...(compiled.ipBlock && peer.twin !== undefined ? { peerIpblockIdentity: peer.twin } : {}),
      protocol: input.protocol,
      port: input.port,
      ...(input.allowHost === undefined ? {} : { allowHost: input.allowHost }),
    });
    const rule = rules.get(judgement.ruleId);
    const { verdict, reason, matchType } = judgement;
    return {
      direction,
      verdict,
      reason,
      matchType,
      ...(rule ? { rule } : {}),
      text: sentence(subject, judgement, direction, rule),
    };
  };
  const egress = side('egress', from, to);
  const ingress = side('ingress', to, from);
  const verdict = egress.verdict === 'allow' && ingress.verdict === 'allow' ? 'allow' : 'deny';
  const flow = `${from.name} -> ${to.name} ${describeFlow(input.protocol, input.port)}`;
  const text = [`${flow}: ${verdict === 'allow' ? 'allowed' : 'refused'}`, egress.text, ingress.text].join('\n');
  return { verdict, egress, ingress, text };
};
