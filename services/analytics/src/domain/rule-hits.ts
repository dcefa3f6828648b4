// SPDX-License-Identifier: Apache-2.0
/**
 * Adds up per rule what it decided, while flows are read. A hit is a decision: the first report of a connection, or a refusal;
 * later reports of the same connection add only their packets and bytes. Rules of staged policies are hit by what they would decide.
 */
import type { FlowReader } from './flow-reader.ts';

export interface RuleHits {
  readonly ruleId: number;
  hits: number;
  packets: number;
  bytes: number;
  firstUs: number;
  lastUs: number;
}

const TWO_32 = 4_294_967_296;
const FIRST_REPORT = 1;
const DROP_REPORT = 6;

export class HitTable {
  readonly #rules = new Map<number, RuleHits>();
  /** Flows of one rule come in a row. */
  #last: RuleHits | undefined;

  add(flow: FlowReader, timeUs: number): void {
    if (flow.ruleId !== 0) this.#count(flow.ruleId, flow, timeUs);
    if (flow.pendingRuleId !== 0 && flow.pendingRuleId !== flow.ruleId) this.#count(flow.pendingRuleId, flow, timeUs);
  }

  #count(ruleId: number, flow: FlowReader, timeUs: number): void {
    const { report } = flow;
    let rule = this.#last;
    if (rule?.ruleId !== ruleId) {
      rule = this.#rules.get(ruleId);
      if (rule === undefined) {
        rule = { ruleId, hits: 0, packets: 0, bytes: 0, firstUs: timeUs, lastUs: timeUs };
        this.#rules.set(ruleId, rule);
      }
      this.#last = rule;
    }
    if (report === DROP_REPORT || (report === FIRST_REPORT && !flow.isReply)) rule.hits += 1;
    rule.packets += flow.packetsHigh * TWO_32 + flow.packetsLow;
    rule.bytes += flow.bytesHigh * TWO_32 + flow.bytesLow;
    if (timeUs < rule.firstUs) rule.firstUs = timeUs;
    if (timeUs > rule.lastUs) rule.lastUs = timeUs;
  }

  /** By number: two writers lock the same rows in the same order. */
  sorted(): RuleHits[] {
    return [...this.#rules.values()].sort((a, b) => a.ruleId - b.ruleId);
  }
}
