// SPDX-License-Identifier: Apache-2.0
/** Keeps the plan of encryption until something that it depends on changes, or an answer of a peer is due. */
import type { Host, Network } from '@weir/proto/weir/bus/v1/config_pb.js';
import { Encryption, type EncryptionFacts, type EncryptionPlan, NO_ENCRYPTION, NO_FACTS } from './encryption.ts';

export class EncryptionPlanner {
  readonly #encryption = new Encryption();
  readonly #ownHost: string;
  #network: Network | undefined;
  #facts = NO_FACTS;
  #plan: EncryptionPlan = NO_ENCRYPTION;
  #isDue = true;
  #dueMs = 0;

  constructor(ownHost: string) {
    this.#ownHost = ownHost;
  }

  /** Undefined: there is no document any more. */
  put(network: Network | undefined): void {
    this.#network = network;
    this.#isDue = true;
  }

  hostsChanged(): void {
    this.#isDue = true;
  }

  setFacts(facts: EncryptionFacts): void {
    const { isUp, answered } = this.#facts;
    const isSame = facts.isUp === isUp && facts.answered.size === answered.size;
    if (!isSame || [...facts.answered].some((key) => !answered.has(key))) this.#isDue = true;
    this.#facts = facts;
  }

  get plan(): EncryptionPlan {
    return this.#plan;
  }

  /** True when there is a new plan. */
  compute(hosts: Iterable<Host>, nowMs: number): boolean {
    if (!this.#isDue && nowMs < this.#dueMs) {
      // Whoever asks in between waits for the rest of the time only.
      if (this.#plan.changesInMs !== undefined) this.#plan = { ...this.#plan, changesInMs: this.#dueMs - nowMs };
      return false;
    }
    this.#isDue = false;
    const [network, facts] = [this.#network, this.#facts];
    this.#plan = this.#encryption.plan({ network, hosts, ownHost: this.#ownHost, facts, nowMs });
    const { changesInMs } = this.#plan;
    this.#dueMs = changesInMs === undefined ? Number.POSITIVE_INFINITY : nowMs + changesInMs;
    return true;
  }
}
