// SPDX-License-Identifier: Apache-2.0
/**
 * What the spool had to shed, as numbers and as ranges of sequence numbers. Counts are exact for ever; of the ranges
 * the newest are kept, neighbours and overlapping ones joined. Not all in a range need be lost, so counts, not the
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

const lower = (a: bigint, b: bigint): bigint => (a < b ? a : b);

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
    let joined: LostRange = { boot, from, to, count };
    const apart: LostRange[] = [];
    for (const range of this.#ranges) {
      if (range.boot !== boot || range.to < joined.from || range.from > joined.to) apart.push(range);
      else {
        joined = {
          boot,
          from: lower(range.from, joined.from),
          to: -lower(-range.to, -joined.to),
          count: range.count + joined.count,
        };
      }
    }
    this.#ranges = [...apart, joined].slice(-RANGES_KEPT);
  }
}
