// SPDX-License-Identifier: Apache-2.0
/** What heartbeats say of the host's own policy. What happened while the bus was away is told when it is there again. */
import type { HostFirewallGuard } from '../host-firewall/guard.ts';
import type { ToldHostFirewall } from '../host-firewall/state.ts';

/** Heartbeats get lost; events are few, and repeated so often only while they are new. */
const REPEAT_MS = 60_000;

export class HostFirewallReport {
  readonly #guard: HostFirewallGuard;
  readonly #nowMs: () => number;
  #newest = 0;
  #newestMs = Number.NEGATIVE_INFINITY;
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(guard: HostFirewallGuard, nowMs: () => number = () => performance.now()) {
    this.#guard = guard;
    this.#nowMs = nowMs;
  }

  /** For the next heartbeat. */
  toTell(): ToldHostFirewall {
    const { history } = this.#guard.state;
    const newest = history.at(-1)?.sequence ?? 0;
    const now = this.#nowMs();
    if (newest !== this.#newest) this.#newestMs = now;
    this.#newest = newest;
    const isDue = now - this.#newestMs < REPEAT_MS || now - this.#toldMs >= REPEAT_MS;
    if (isDue) this.#toldMs = now;
    return { ...this.#guard.told(), events: isDue ? history : [] };
  }
}
