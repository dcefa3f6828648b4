// SPDX-License-Identifier: Apache-2.0
/**
 * Why a flow passes or not, at both ends, by the compiler and the judge that enforce it. A flow passes only when its source may
 * send it (egress) and its destination may receive it (ingress); an end that is no workload is not asked.
 */
import { PROTOCOLS, parseIp, protocolName } from '@weir/net';
import { allocateCidrs, type CidrAllocator, collectCidrs, createCidrIndex } from './compile/cidrs.ts';
import { compileWorkload } from './compile/compiler.ts';
import type { NamedPort, PolicyInput, View } from './compile/input.ts';
import { createWorld, type IdentityLabels } from './compile/world.ts';
import { type Considered, considered } from './considered.ts';
import { IDENTITY, ipBlockTwin, scopeOf } from './constants.ts';
import { withGroups } from './groups.ts';
import { type Judgement, judge } from './judge.ts';
import { selects } from './lint.ts';
import {
  type CidrGroup,
  type DenyResponse,
  type Direction,
  type ListedRule,
  listRules,
  type PolicyDocument,
  type Tier,
} from './model.ts';
import { HOST_LABEL } from './subject.ts';
import { inTheirTime, nextChange, type Standing, standingAt } from './validity.ts';

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
  /** Hosts and services that rules may name (groups.ts). */
  readonly directory?: readonly CidrGroup[];
  /** For which time it is asked, in milliseconds of Unix time; absent = all policies are in theirs. */
  readonly atMs?: number;
}

/** A policy that selects one of the ends and is not in its time. */
export interface OutOfTime {
  readonly policy: string;
  readonly standing: Standing;
  /** Milliseconds of Unix time; absent = never. */
  readonly nextChangeMs?: number;
}

export interface ExplainedRule extends ListedRule, RulePlace {
  /** Number of the rule, 0 when it has none yet. */
  readonly id: number;
  readonly policy: string;
}

export interface ConsideredRule extends ExplainedRule {
  readonly tier: Tier;
  /** whole: it fits. peer: it does but for the port or protocol. port: but for the peer. */
  readonly fits: Considered['fits'];
  /** It is the one that decided. */
  readonly decided: boolean;
}

/** What would be if other policies were enforced. */
export interface OtherVerdict {
  readonly verdict: 'allow' | 'deny';
  readonly rule?: ExplainedRule;
  readonly text: string;
}

export interface ExplainedEnd {
  readonly direction: Direction;
  readonly verdict: 'allow' | 'deny';
  readonly reason: Judgement['reason'] | 'not-a-workload' | 'unknown-workload';
  readonly matchType: Judgement['matchType'];
  /** Of the rule that decided. */
  readonly tier?: Tier;
  /** How the refusal is answered; absent = in silence. */
  readonly response?: DenyResponse;
  readonly rule?: ExplainedRule;
  /** Rules that fit, and those that nearly do, in the order in which they are asked. */
  readonly considered: readonly ConsideredRule[];
  /** Policies in audit would refuse it: it goes on and is reported. */
  readonly audited?: OtherVerdict;
  /** Staged policies would change it. */
  readonly pending?: OtherVerdict;
  readonly text: string;
}

export interface Explanation {
  readonly verdict: 'allow' | 'deny';
  readonly egress: ExplainedEnd;
  readonly ingress: ExplainedEnd;
  /** Not asked, because it is not their time. */
  readonly outOfTime: readonly OutOfTime[];
  /** The whole answer, one sentence a line. */
  readonly text: string;
}

interface Resolved {
  readonly identity: number;
  readonly twin?: number;
  /** Its policy is asked. */
  readonly workload: boolean;
  /** Of a host that policies select. */
  readonly labels?: readonly string[];
  readonly name: string;
  readonly namedPorts: readonly NamedPort[];
}

// Behind every identity that inventory gives, before the host-local ones.
const FIRST_MADE_UP = 0x00ff0000;

/** Rules by number; those without a number get one that nobody else has. */
const numberRules = (policies: readonly ExplainedPolicy[]) => {
  const rules = new Map<number, ExplainedRule>();
  const byPath = new Map<string, { readonly id: number; readonly explained: ExplainedRule }>();
  let unnumbered = 0x40000000;
  const numbered = policies.map(({ doc, ruleIds, places }) => {
    const ids = new Map<string, number>();
    for (const rule of listRules(doc)) {
      const given = ruleIds.get(rule.path);
      const id = given ?? unnumbered++;
      ids.set(rule.path, id);
      const explained = { ...rule, ...places?.get(rule.path), id: given ?? 0, policy: doc.key };
      rules.set(id, explained);
      byPath.set(`${doc.key} ${rule.path}`, { id, explained });
    }
    return { doc, ruleIds: ids };
  });
  return { rules, byPath, numbered };
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
  const answer = ANSWERS[judgement.response ?? 'None'];
  switch (judgement.reason) {
    case 'host':
      return `${who}: allowed, because the host may always reach its own workloads`;
    case 'default-allow':
      return `${who}: allowed, because no policy restricts its ${direction}`;
    case 'default-deny':
      return `${who}: refused, because no rule allows it${rule ? `; default deny by ${describeRule(rule)}` : ''}${answer}`;
    case 'rule':
      return `${who}: ${judgement.verdict === 'deny' ? 'denied' : 'allowed'} by ${rule ? describeRule(rule) : 'a rule'}${answer}`;
  }
};

const ANSWERS: Readonly<Record<DenyResponse, string>> = {
  None: '',
  Reset: '; answered with a TCP reset, or ICMP',
  Icmp: '; answered with ICMP: administratively prohibited',
};

const describeFlow = (protocol: number, port: number): string => {
  const name = protocolName(protocol);
  const icmp = protocol === PROTOCOLS.ICMP || protocol === PROTOCOLS.ICMPv6;
  return icmp ? `${name} type ${port >> 8}` : `${name}/${port}`;
};

const sameLabels = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && [...a].sort().join('\n') === [...b].sort().join('\n');

const STANDINGS: Readonly<Record<Standing, string>> = {
  'in-force': 'in force',
  'not-yet': 'not in force yet',
  over: 'over',
  'outside-schedule': 'outside its schedule',
  unsure: 'out of a time that nobody knows',
};

const timeText = ({ policy, standing, nextChangeMs }: OutOfTime): string =>
  `${policy} is not asked: it is ${STANDINGS[standing]}${nextChangeMs === undefined ? '' : `, until ${new Date(nextChangeMs).toISOString()}`}`;

const notInTime = (
  policies: readonly ExplainedPolicy[],
  ends: readonly Resolved[],
  identities: IdentityLabels,
  atMs: number,
): OutOfTime[] =>
  policies.flatMap(({ doc }) => {
    const { validity, mode, key } = doc;
    const standing = validity && mode !== 'off' ? standingAt(validity, atMs) : 'in-force';
    if (!validity || standing === 'in-force') return [];
    if (!ends.some(({ labels, identity }) => selects(doc, labels ?? identities.get(identity) ?? []))) return [];
    const nextChangeMs = nextChange(validity, atMs);
    return [{ policy: key, standing, ...(nextChangeMs === undefined ? {} : { nextChangeMs }) }];
  });

export const explain = (input: ExplainInput): Explanation => {
  const identities = new Map(input.identities ?? []);
  const { atMs } = input;
  const policies = withGroups(atMs === undefined ? input.policies : inTheirTime(input.policies, atMs), input.directory);
  const docs: PolicyDocument[] = policies.map(({ doc }) => doc);
  const cidrs = input.cidrs ?? allocateCidrs(collectCidrs(docs));
  const index = createCidrIndex(cidrs);
  const { rules, byPath, numbered } = numberRules(policies);
  let madeUp = FIRST_MADE_UP;

  const identityOf = (end: Endpoint): number => {
    if (end.identity !== undefined) return end.identity;
    if (end.labels) {
      const { labels } = end;
      if (labels.includes(HOST_LABEL)) return IDENTITY.HOST;
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
    const isHost = identity === IDENTITY.HOST;
    if (end.labels && !isHost && !identities.has(identity)) identities.set(identity, end.labels);
    const labels = end.labels ?? [HOST_LABEL];
    const cidr =
      end.ip === undefined || scopeOf(identity) === IDENTITY.SCOPE_CIDR ? undefined : index.lookup(parseIp(end.ip));
    return {
      identity,
      ...(cidr === undefined ? {} : { twin: ipBlockTwin(cidr) }),
      ...(isHost ? { labels } : {}),
      workload:
        (isHost && docs.some((doc) => selects(doc, labels))) ||
        identity === IDENTITY.INIT ||
        (identity >= IDENTITY.FIRST_ALLOCATED && scopeOf(identity) === 0),
      name: end.name ?? end.ip ?? end.labels?.join(',') ?? `identity ${identity}`,
      namedPorts: end.namedPorts ?? [],
    };
  };
  const from = resolve(input.from);
  const to = resolve(input.to);
  const peerNamedPorts = new Map([[to.identity, to.namedPorts]]);

  const isMixed = docs.some(({ mode }) => mode !== 'enforce');
  const world = createWorld();
  world.sync(identities, cidrs);

  const side = (direction: Direction, subject: Resolved, peer: Resolved): ExplainedEnd => {
    const open = { direction, verdict: 'allow', matchType: 'none', considered: [] } as const;
    if (!subject.workload) {
      return {
        ...open,
        reason: 'not-a-workload',
        text: `${direction} of ${subject.name}: not asked, it is no workload`,
      };
    }
    const ask = (view: View): Judgement | undefined => {
      const compiled = compileWorkload({ identities, policies: numbered, cidrs, subject, peerNamedPorts, view });
      if (compiled.unknownSubject) return undefined;
      return judge(compiled, {
        direction,
        peerIdentity: peer.identity,
        ...(compiled.ipBlock && peer.twin !== undefined ? { peerIpblockIdentity: peer.twin } : {}),
        protocol: input.protocol,
        port: input.port,
        ...(input.allowHost === undefined ? {} : { allowHost: input.allowHost }),
      });
    };
    const judgement = ask('enforced');
    if (!judgement) {
      const text = `${direction} of ${subject.name}: refused, because its identity ${subject.identity} has no labels`;
      return { ...open, verdict: 'deny', reason: 'unknown-workload', text };
    }
    const rule = rules.get(judgement.ruleId);
    const { verdict, reason, matchType, tier, response } = judgement;
    const other = (view: View, than: Judgement): OtherVerdict | undefined => {
      if (!isMixed) return undefined;
      const would = ask(view);
      if (!would || would.verdict === than.verdict) return undefined;
      const by = rules.get(would.ruleId);
      return { verdict: would.verdict, ...(by ? { rule: by } : {}), text: sentence(subject, would, direction, by) };
    };
    const audited = other('audited', judgement);
    const pending = other('pending', judgement);
    const fitting = considered(
      world,
      numbered.filter(({ doc }) => doc.mode !== 'off'),
      {
        direction,
        subjectLabels: subject.labels ?? identities.get(subject.identity) ?? [],
        subjectPorts: subject.namedPorts,
        peerIdentities: peer.twin === undefined ? [peer.identity] : [peer.identity, peer.twin],
        peerPorts: peer.namedPorts,
        protocol: input.protocol,
        port: input.port,
      },
    ).flatMap(({ policy, tier: ofTier, rule: { path }, fits }): ConsideredRule[] => {
      const known = byPath.get(`${policy} ${path}`);
      if (!known) return [];
      return [{ ...known.explained, tier: ofTier, fits, decided: known.id === judgement.ruleId }];
    });
    return {
      direction,
      verdict,
      reason,
      matchType,
      ...(tier ? { tier } : {}),
      ...(response ? { response } : {}),
      ...(rule ? { rule } : {}),
      considered: fitting,
      ...(audited ? { audited } : {}),
      ...(pending ? { pending } : {}),
      text: [
        sentence(subject, judgement, direction, rule),
        ...(audited ? [`if audited policies were enforced: ${audited.text}`] : []),
        ...(pending ? [`if staged policies were in place: ${pending.text}`] : []),
      ].join('\n'),
    };
  };
  const egress = side('egress', from, to);
  const ingress = side('ingress', to, from);
  const verdict = egress.verdict === 'allow' && ingress.verdict === 'allow' ? 'allow' : 'deny';
  const flow = `${from.name} -> ${to.name} ${describeFlow(input.protocol, input.port)}`;
  const outOfTime = atMs === undefined ? [] : notInTime(input.policies, [from, to], identities, atMs);
  const lines = [`${flow}: ${verdict === 'allow' ? 'allowed' : 'refused'}`, egress.text, ingress.text];
  return { verdict, egress, ingress, outOfTime, text: [...lines, ...outOfTime.map(timeText)].join('\n') };
};
