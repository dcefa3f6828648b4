// SPDX-License-Identifier: Apache-2.0
/**
 * Outcomes in a row -> whether a backend serves. It begins with what the fleet believes: an outcome that agrees confirms it at
 * once, so a restarted agent changes nobody's state; the other way takes as many in a row as the check says. Pure.
 */
export interface Thresholds {
  readonly healthyAfter: number;
  readonly unhealthyAfter: number;
}

export class Judge {
  #healthy: boolean;
  #isConfirmed = false;
  /** Outcomes in a row that say the opposite. */
  #against = 0;

  constructor(believed: boolean) {
    this.#healthy = believed;
  }

  get healthy(): boolean {
    return this.#healthy;
  }

  /** Undefined before anything was decided here. */
  get verdict(): boolean | undefined {
    return this.#isConfirmed ? this.#healthy : undefined;
  }

  get against(): number {
    return this.#against;
  }

  /** Whether this one decided something. */
  note(ok: boolean, { healthyAfter, unhealthyAfter }: Thresholds): boolean {
    if (ok === this.#healthy) {
      this.#against = 0;
      const isNew = !this.#isConfirmed;
      this.#isConfirmed = true;
      return isNew;
    }
    this.#against += 1;
    if (this.#against < Math.max(1, ok ? healthyAfter : unhealthyAfter)) return false;
    this.#against = 0;
    this.#healthy = ok;
    this.#isConfirmed = true;
    return true;
  }
}
