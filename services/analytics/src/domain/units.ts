// SPDX-License-Identifier: Apache-2.0
/**
 * Names of workloads that are cgroups: they share their host's address, so a flow names one by its host and identity, and
 * only when no other of that host has the same labels. Known while they exist: their address has no history of its own.
 */

export interface Unit {
  readonly name: string;
  readonly namespace: string;
  readonly host: string;
  readonly identity: number;
}

export class Units {
  readonly #units = new Map<string, Unit>();
  readonly #alike = new Map<string, Set<string>>();

  get ids(): Iterable<string> {
    return this.#units.keys();
  }

  set(id: string, unit: Unit): void {
    this.remove(id);
    this.#units.set(id, unit);
    const key = keyOf(unit.host, unit.identity);
    const alike = this.#alike.get(key) ?? new Set();
    this.#alike.set(key, alike.add(id));
  }

  /** Returns whether there was one. */
  remove(id: string): boolean {
    const unit = this.#units.get(id);
    if (!unit) return false;
    this.#units.delete(id);
    const key = keyOf(unit.host, unit.identity);
    const alike = this.#alike.get(key);
    alike?.delete(id);
    if (alike?.size === 0) this.#alike.delete(key);
    return true;
  }

  /** The one on that host with that identity; undefined: there is none, or more than one. */
  find(host: string, identity: number): Unit | undefined {
    const alike = this.#alike.get(keyOf(host, identity));
    const [id = ''] = alike?.size === 1 ? alike : [];
    return this.#units.get(id);
  }
}

const keyOf = (host: string, identity: number): string => `${identity} ${host}`;
