// SPDX-License-Identifier: Apache-2.0
/**
 * Judges groups of recorded flows by two sets of documents, with the compiler and the judge that hosts enforce with. Each
 * group is judged at the end that reported it: at the client as egress, at the server as ingress, as the kernel did.
 */
import { parseIp } from '@weir/net';
import {
  allocateCidrs,
  type CidrGroup,
  type CompiledWorkload,
  collectCidrs,
  createCidrIndex,
  createCompiler,
  type Direction,
  IDENTITY,
  icmpPort,
  ipBlockTwin,
  judge,
  MAX_POLICY_ENTRIES,
  type NamedPort,
  type Peer,
  type PolicyDocument,
  refersToGroups,
  selects,
  withGroups,
} from '@weir/policy-engine';
import type { FlowEnd, FlowGroup } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { DropReason } from '@weir/proto/weir/flow/v1/drop_reason_pb.js';
import { Direction as FlowDirection, Verdict as FlowVerdict } from '@weir/proto/weir/flow/v1/flow_pb.js';
import type { RuleOfSet, Ruleset } from './ruleset.ts';

export interface Judged {
  readonly verdict: 'allow' | 'deny';
  readonly reason: 'rule' | 'default-deny' | 'default-allow' | 'host' | 'lockdown';
  readonly rule: RuleOfSet | undefined;
}

/** Why nothing is said of a group. */
export const NOT_JUDGED = ['unknown-labels', 'no-workload', 'related', 'dropped-otherwise', 'no-verdict'] as const;
export type NotJudged = (typeof NOT_JUDGED)[number];

export interface Judgement {
  readonly direction: Direction;
  readonly subject: FlowEnd;
  readonly peer: FlowEnd;
  /** Of the peer, when it is outside of the fleet. */
  readonly address: string;
  readonly prefix: string;
  readonly before: Judged;
  readonly after: Judged;
  readonly recorded: 'allow' | 'deny';
}

export interface JudgesInput {
  readonly before: Ruleset;
  readonly after: Ruleset;
  /** In either state, of documents that are not the same in both. */
  readonly changed: readonly PolicyDocument[];
  /** The documents of `after` as if those that are staged were in place. */
  readonly staged?: boolean;
  /** What named ports mean now, by identity: earlier meanings are not kept. */
  readonly namedPorts: ReadonlyMap<number, readonly NamedPort[]>;
  /** Hosts and services as they are now, whom rules may name. */
  readonly directory?: readonly CidrGroup[];
}

/** The agent keeps two entries of each workload's map for the defaults. */
const ENTRIES_MAX = MAX_POLICY_ENTRIES - 2;
const ADDRESSES_REMEMBERED = 100_000;
const WORLD: readonly number[] = [IDENTITY.WORLD, IDENTITY.WORLD_IPV4, IDENTITY.WORLD_IPV6];
const NO_PORTS: readonly NamedPort[] = [];

const isWorkload = ({ identity }: FlowEnd): boolean =>
  identity === IDENTITY.INIT || identity >= IDENTITY.FIRST_ALLOCATED;

export const isOutside = ({ identity }: FlowEnd): boolean => WORLD.includes(identity);

const isKnown = ({ identity, labels }: FlowEnd): boolean =>
  identity >= IDENTITY.FIRST_ALLOCATED ? labels.length > 0 : identity !== IDENTITY.UNKNOWN;

/** What was enforced then. An audited flow passed, whether a policy in audit refused it or an agent that audits all of them. */
const recordedOf = ({ verdict, dropReason }: FlowGroup): 'allow' | 'deny' | 'audited' | NotJudged => {
  switch (verdict) {
    case FlowVerdict.FORWARDED:
    case FlowVerdict.REDIRECTED:
      return 'allow';
    case FlowVerdict.AUDIT:
      return 'audited';
    case FlowVerdict.DROPPED:
      return dropReason === DropReason.POLICY_DENIED || dropReason === DropReason.POLICY_DENY
        ? 'deny'
        : 'dropped-otherwise';
    default:
      return 'no-verdict';
  }
};

interface Compiled {
  readonly before: CompiledWorkload;
  readonly after: CompiledWorkload;
}

interface Place {
  readonly cidr: number | undefined;
  readonly prefix: string;
}

/** Of managed peers too. */
const isByAddress = (peer: Peer): boolean =>
  (peer.kind === 'cidr' && peer.ipBlock) || (peer.kind === 'group' && peer.of !== undefined);

export class Judges {
  readonly #input: JudgesInput;
  readonly #compiler = createCompiler();
  readonly #cidrs: ReadonlyMap<string, number>;
  readonly #index: ReturnType<typeof createCidrIndex>;
  readonly #prefixes: ReadonlyMap<number, string>;
  readonly #ends = new Map<number, FlowEnd>();
  /** What the engine knows an end by: the same identity may have meant two things. */
  readonly #identities = new Map<number, readonly string[]>();
  readonly #namedPorts = new Map<number, readonly NamedPort[]>();
  readonly #compiled = new Map<number, Compiled>();
  readonly #places = new Map<string, Place>();

  constructor(input: JudgesInput) {
    const [before, after] = [input.before, input.after].map((set) => ({
      ...set,
      inputs: withGroups(set.inputs, input.directory),
    }));
    // A group selects nobody: what changes with it are the documents that name groups.
    const all = [...input.before.inputs, ...input.after.inputs].map(({ doc }) => doc);
    const changed = input.changed.some(({ group }) => group)
      ? [...input.changed, ...all.filter(refersToGroups)]
      : input.changed;
    this.#input = { ...input, before: before as Ruleset, after: after as Ruleset, changed };
    const docs = [...this.#input.before.inputs, ...this.#input.after.inputs].map(({ doc }) => doc);
    this.#cidrs = allocateCidrs(collectCidrs(docs));
    this.#index = createCidrIndex(this.#cidrs);
    this.#prefixes = new Map([...this.#cidrs].map(([text, identity]) => [identity, text]));
  }

  /** Rules that name blocks of addresses reach workloads by their address: then it must be known. */
  static needsWorkloadAddresses(...sets: readonly Ruleset[]): boolean {
    return sets.some(({ inputs }) =>
      inputs.some(({ doc }) =>
        doc.specs.some(({ rules }) => rules.some(({ peers }) => peers !== 'any' && peers.some(isByAddress))),
      ),
    );
  }

  /** Ends are told before the groups that name them; what was compiled without them is compiled again. */
  learn(ends: readonly FlowEnd[]): void {
    if (ends.length === 0) return;
    this.#compiled.clear();
    for (const end of ends) {
      this.#ends.set(end.number, end);
      if (end.identity < IDENTITY.FIRST_ALLOCATED || end.labels.length === 0) continue;
      const number = this.#engineIdentity(end);
      this.#identities.set(number, end.labels);
      const ports = this.#input.namedPorts.get(end.identity);
      if (ports) this.#namedPorts.set(number, ports);
    }
  }

  #engineIdentity({ identity, number }: FlowEnd): number {
    return identity < IDENTITY.FIRST_ALLOCATED ? identity : IDENTITY.FIRST_ALLOCATED + number;
  }

  #place(ip: string): Place {
    let known = this.#places.get(ip);
    if (known === undefined) {
      const cidr = this.#index.lookup(parseIp(ip));
      known = { cidr, prefix: cidr === undefined ? '' : (this.#prefixes.get(cidr) ?? '') };
      if (this.#places.size >= ADDRESSES_REMEMBERED) this.#places.clear();
      this.#places.set(ip, known);
    }
    return known;
  }

  #compile(subject: FlowEnd): Compiled {
    let known = this.#compiled.get(subject.number);
    if (known === undefined) {
      const identity = this.#engineIdentity(subject);
      const input = {
        identities: this.#identities,
        cidrs: this.#cidrs,
        subject: { identity, namedPorts: this.#namedPorts.get(identity) ?? NO_PORTS },
        peerNamedPorts: this.#namedPorts,
        maxEntries: ENTRIES_MAX,
      };
      const before = this.#compiler.compile({ ...input, policies: this.#input.before.inputs });
      const labels = subject.identity === IDENTITY.INIT ? ['reserved:init'] : subject.labels;
      const { staged, changed } = this.#input;
      const differs = staged || changed.some((doc) => selects(doc, labels));
      const after = differs
        ? this.#compiler.compile({
            ...input,
            policies: this.#input.after.inputs,
            view: staged ? 'pending' : 'enforced',
          })
        : before;
      known = { before, after };
      this.#compiled.set(subject.number, known);
    }
    return known;
  }

  /** Which end reported it; undefined: none that is known. */
  subjectOf({ direction, client, server }: FlowGroup): FlowEnd | undefined {
    if (direction === FlowDirection.EGRESS) return this.#ends.get(client);
    return direction === FlowDirection.INGRESS ? this.#ends.get(server) : undefined;
  }

  judge(group: FlowGroup): Judgement | NotJudged {
    const recorded = recordedOf(group);
    if (recorded !== 'allow' && recorded !== 'deny' && recorded !== 'audited') return recorded;
    if (group.related) return 'related';
    const [client, server] = [this.#ends.get(group.client), this.#ends.get(group.server)];
    if (client === undefined || server === undefined) return 'unknown-labels';
    const isEgress = group.direction === FlowDirection.EGRESS;
    if (!isEgress && group.direction !== FlowDirection.INGRESS) return 'no-verdict';
    const direction = isEgress ? 'egress' : 'ingress';
    const [subject, peer, ip] = isEgress ? [client, server, group.serverIp] : [server, client, group.clientIp];
    if (!isKnown(subject) || !isKnown(peer)) return 'unknown-labels';
    if (!isWorkload(subject)) return 'no-workload';
    const { cidr, prefix } = ip === '' ? { cidr: undefined, prefix: '' } : this.#place(ip);
    const outside = isOutside(peer);
    const family = ip.includes(':') ? IDENTITY.WORLD_IPV6 : IDENTITY.WORLD_IPV4;
    const peerIdentity = outside ? (cidr ?? (ip === '' ? peer.identity : family)) : this.#engineIdentity(peer);
    const { before, after } = this.#compile(subject);
    const icmp = group.protocol === 1 || group.protocol === 58;
    const ask = (compiled: CompiledWorkload, { rules }: Ruleset): Judged => {
      const { verdict, reason, ruleId } = judge(compiled, {
        direction,
        peerIdentity,
        ...(compiled.ipBlock && !outside && cidr !== undefined ? { peerIpblockIdentity: ipBlockTwin(cidr) } : {}),
        protocol: group.protocol,
        port: icmp ? icmpPort(group.icmpType) : group.port,
      });
      return { verdict, reason: compiled.overflow ? 'lockdown' : reason, rule: rules.get(ruleId) };
    };
    const first = ask(before, this.#input.before);
    return {
      direction,
      subject,
      peer,
      address: outside ? ip : '',
      prefix: outside ? prefix : '',
      before: first,
      after: before === after ? first : ask(after, this.#input.after),
      recorded: recorded === 'audited' ? first.verdict : recorded,
    };
  }
}
