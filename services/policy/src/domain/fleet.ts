// SPDX-License-Identifier: Apache-2.0
/** What this service knows of the fleet from the bus: hosts, which of them are heard, and the labels of who exists. */
import type { ConfigEntry } from '@weir/bus';
import type { IdentityLabels } from '@weir/policy-engine';

/** Three heartbeats of 5 s. */
export const ALIVE_MS = 15_000;

export class Fleet {
  readonly #entries: () => readonly ConfigEntry[];
  readonly #heardAt = new Map<string, number>();
  readonly #startedAt = Date.now();
  #identities: IdentityLabels | undefined;
  #known = false;

  /** `entries`: the configuration as it is now; call `changed` whenever it differs. */
  constructor(entries: () => readonly ConfigEntry[]) {
    this.#entries = entries;
  }

  changed(): void {
    this.#known = true;
    this.#identities = undefined;
  }

  heard(host: string): void {
    this.#heardAt.set(host, Date.now());
  }

  hosts(): string[] {
    return this.#entries()
      .flatMap(({ kind, key }) => (kind === 'host' ? [key] : []))
      .sort();
  }

  /** A host that has acknowledged before counts as alive until this process had time to hear of it. */
  isAlive(host: string, hasAcknowledged: boolean): boolean {
    const heardAt = this.#heardAt.get(host) ?? (hasAcknowledged ? this.#startedAt : Number.NEGATIVE_INFINITY);
    return Date.now() - heardAt < ALIVE_MS;
  }

  /** Labels of identities that a workload has; undefined before the first snapshot, when nothing can be said of them. */
  identities(): IdentityLabels | undefined {
    if (!this.#known) return undefined;
    this.#identities ??= this.#join();
    return this.#identities;
  }

  #join(): IdentityLabels {
    const used = new Set<number>();
    for (const { document } of this.#entries()) {
      if (document.body.case === 'workload') used.add(document.body.value.identity);
    }
    const joined = new Map<number, readonly string[]>();
    for (const { document } of this.#entries()) {
      const { body } = document;
      if (body.case === 'identity' && used.has(body.value.identity)) joined.set(body.value.identity, body.value.labels);
    }
    return joined;
  }
}
