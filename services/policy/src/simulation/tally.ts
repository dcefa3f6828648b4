// SPDX-License-Identifier: Apache-2.0
/** Adds up what was judged: every flow is counted exactly once, as changed, unchanged or not judged, whatever is told of it. */
import type { FlowEnd, FlowGroup } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { isOutside, type Judged, type Judgement, NOT_JUDGED, type NotJudged } from './judges.ts';

export const CHANGE_CLASSES = ['newly-denied', 'newly-allowed', 'disagrees'] as const;
export type ChangeClass = (typeof CHANGE_CLASSES)[number];

export interface Total {
  flows: bigint;
  packets: bigint;
  bytes: bigint;
}

export interface Party {
  readonly end: FlowEnd;
  readonly prefix: string;
  readonly addresses: string[];
}

export interface Change extends Total {
  readonly class: ChangeClass;
  readonly direction: 'ingress' | 'egress';
  readonly subject: Party;
  readonly peer: Party;
  readonly protocol: number;
  readonly port: number;
  readonly icmpType: number | undefined;
  readonly before: Judged;
  readonly after: Judged;
  disagrees: bigint;
  lastSeenMs: number;
}

/** Different ones that are kept; flows of others are counted all the same. */
const CHANGES_KEPT = 100_000;
const ADDRESSES_SHOWN = 5;

export const zero = (): Total => ({ flows: 0n, packets: 0n, bytes: 0n });

export const addTo = (total: Total, { flows, packets, bytes }: Total): void => {
  total.flows += flows;
  total.packets += packets;
  total.bytes += bytes;
};

const classOf = ({ before, after, recorded }: Judgement): ChangeClass | 'unchanged' => {
  if (before.verdict !== after.verdict) return after.verdict === 'deny' ? 'newly-denied' : 'newly-allowed';
  return recorded === before.verdict ? 'unchanged' : 'disagrees';
};

const ruleKey = ({ reason, rule }: Judged): string => `${reason} ${rule?.policyKey} ${rule?.path}`;

const millis = ({ lastSeen }: FlowGroup): number =>
  lastSeen === undefined ? 0 : Number(lastSeen.seconds) * 1_000 + lastSeen.nanos / 1e6;

const ORDER: Readonly<Record<ChangeClass, number>> = { 'newly-denied': 0, 'newly-allowed': 1, disagrees: 2 };

export class Tally {
  readonly totals = { 'newly-denied': zero(), 'newly-allowed': zero(), unchanged: zero(), disagrees: zero() };
  readonly notJudged: Readonly<Record<NotJudged, Total>> = Object.fromEntries(
    NOT_JUDGED.map((reason) => [reason, zero()] as const),
  ) as Record<NotJudged, Total>;
  readonly #changes = new Map<string, Change>();
  #dropped = 0;

  add(group: FlowGroup, judgement: Judgement | NotJudged): void {
    if (typeof judgement === 'string') {
      addTo(this.notJudged[judgement], group);
      return;
    }
    const kind = classOf(judgement);
    const disagrees = judgement.recorded !== judgement.before.verdict;
    addTo(this.totals[kind === 'disagrees' ? 'unchanged' : kind], group);
    if (disagrees) addTo(this.totals.disagrees, group);
    if (kind === 'unchanged') return;
    const change = this.#changeOf(kind, judgement, group);
    if (change === undefined) return;
    addTo(change, group);
    if (disagrees) change.disagrees += group.flows;
    change.lastSeenMs = Math.max(change.lastSeenMs, millis(group));
    const { addresses } = change.peer;
    const { address } = judgement;
    if (address !== '' && addresses.length < ADDRESSES_SHOWN && !addresses.includes(address)) addresses.push(address);
  }

  #changeOf(kind: ChangeClass, judgement: Judgement, group: FlowGroup): Change | undefined {
    const { direction, subject, peer, prefix, before, after } = judgement;
    const { protocol, port } = group;
    const icmpType = protocol === 1 || protocol === 58 ? group.icmpType : undefined;
    const peerKey = isOutside(peer) ? `@${prefix}` : peer.number;
    const key = [
      kind,
      direction,
      subject.number,
      peerKey,
      protocol,
      port,
      icmpType,
      ruleKey(before),
      ruleKey(after),
    ].join();
    const known = this.#changes.get(key);
    if (known !== undefined) return known;
    if (this.#changes.size >= CHANGES_KEPT) {
      this.#dropped += 1;
      return undefined;
    }
    const change: Change = {
      ...zero(),
      class: kind,
      direction,
      subject: { end: subject, prefix: '', addresses: [] },
      peer: { end: peer, prefix, addresses: [] },
      protocol,
      port,
      icmpType,
      before,
      after,
      disagrees: 0n,
      lastSeenMs: 0,
    };
    this.#changes.set(key, change);
    return change;
  }

  /** What is denied first, the most flows first; and how many were left out. */
  changes(limit: number): { readonly shown: readonly Change[]; readonly omitted: number } {
    const sorted = [...this.#changes.values()].sort(
      (a, b) => ORDER[a.class] - ORDER[b.class] || Number(b.flows - a.flows) || Number(b.bytes - a.bytes),
    );
    return { shown: sorted.slice(0, limit), omitted: Math.max(0, sorted.length - limit) + this.#dropped };
  }
}
