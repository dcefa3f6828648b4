// SPDX-License-Identifier: Apache-2.0
/** Keeps the plan of the tunnel until something that it depends on changes, or a step of changing over is due. */
import type { Host, Network } from '@weir/proto/weir/bus/v1/config_pb.js';
import { type EncryptionPlan, NO_ENCRYPTION } from './encryption.ts';
import type { DocumentError, LocalFacts } from './model.ts';
import { NO_OVERLAY, type Overlay, type OverlayPlan } from './overlay.ts';

export class OverlayPlanner {
  readonly #overlay: Overlay;
  #network: Network | undefined;
  #plan: OverlayPlan = NO_OVERLAY;
  #isDue = true;
  #dueMs = 0;
  #peers: ReadonlySet<string> = new Set();

  constructor(overlay: Overlay) {
    this.#overlay = overlay;
  }

  /** Undefined: there is no document any more. */
  put(network: Network | undefined): void {
    this.#network = network;
    this.#isDue = true;
  }

  /** Hosts or facts of this one are others. */
  changed(): void {
    this.#isDue = true;
  }

  /** Hosts that must be reached through the device: see OverlayInput. */
  setPeers(peers: ReadonlySet<string>): void {
    if (peers.size === this.#peers.size && [...peers].every((id) => this.#peers.has(id))) return;
    this.#peers = peers;
    this.#isDue = true;
  }

  get plan(): OverlayPlan {
    return this.#plan;
  }

  get errors(): DocumentError[] {
    return this.#plan.errors.map(({ hostId, message }) => ({
      ...{ subject: `host ${hostId}`, revision: 0n },
      ...{ code: 'INVALID_ARGUMENT', message },
    }));
  }

  /** True when there is a new plan. */
  compute(
    hosts: Iterable<Host>,
    { host, subnets = [], nowMs = 0 }: LocalFacts,
    { encrypted, overheadBytes: encryptionBytes }: Pick<EncryptionPlan, 'encrypted' | 'overheadBytes'> = NO_ENCRYPTION,
  ): boolean {
    if (!this.#isDue && nowMs < this.#dueMs) {
      // Whoever asks in between waits for the rest of the step, not for a whole one again.
      if (this.#plan.changesInMs !== undefined) this.#plan = { ...this.#plan, changesInMs: this.#dueMs - nowMs };
      return false;
    }
    this.#isDue = false;
    this.#plan = this.#overlay.plan({
      ...{ network: this.#network, hosts, ownHost: host, subnets, nowMs },
      ...{ peers: this.#peers, encrypted, encryptionBytes },
    });
    const { changesInMs } = this.#plan;
    this.#dueMs = changesInMs === undefined ? Number.POSITIVE_INFINITY : nowMs + changesInMs;
    return true;
  }
}
