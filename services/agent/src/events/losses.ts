// SPDX-License-Identifier: Apache-2.0
/**
 * What the spool had to shed, as numbers and as ranges of sequence numbers. Counts are exact for ever; of the ranges
 * the newest are kept, neighbours joined. A range may span batches that were lost one by one, so counts, not the
 * lengths of ranges, are what adds up.
 */
export interface LostRange {
  readonly boot: bigint;
  readonly from: bigint;
  /** One past the last. */
  readonly to: bigint;
  readonly count: number;
}

const RANGES_KEPT = 64;

export class LossLedger {
  readonly #boot: bigint;
  total = 0n;
  totalEarlier = 0n;
  #ranges: LostRange[] = [];

  constructor(boot: bigint) {
    this.#boot = boot;
  }

  get ranges(): readonly LostRange[] {
    return this.#ranges;
  }

  add(boot: bigint, from: bigint, to: bigint, count: number): void {
    if (count === 0) return;
    if (boot === this.#boot) this.total += BigInt(count);
    else this.totalEarlier += BigInt(count);
    const last = this.#ranges.at(-1);
    if (last && last.boot === boot && last.to === from) {
      this.#ranges[this.#ranges.length - 1] = { boot, from: last.from, to, count: last.count + count };
      return;
    }
    this.#ranges.push({ boot, from, to, count });
    if (this.#ranges.length > RANGES_KEPT) this.#ranges.shift();
  }
}
