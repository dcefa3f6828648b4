// SPDX-License-Identifier: Apache-2.0
/** Room in an array: ranges of places that are somebody's. */
import { weirError } from '@weir/errors';

export interface Region {
  readonly first: number;
  readonly entries: number;
}

export class Regions {
  readonly #name: string;
  readonly #size: number;
  /** In order. */
  #taken: Region[] = [];

  constructor(name: string, size: number) {
    this.#name = name;
    this.#size = size;
  }

  /** Somebody has it already. */
  adopt(region: Region): void {
    if (region.entries > 0) this.#taken = [...this.#taken, region].sort((a, b) => a.first - b.first);
  }

  take(entries: number): Region {
    let first = 0;
    for (const taken of this.#taken) {
      if (taken.first - first >= entries) break;
      first = Math.max(first, taken.first + taken.entries);
    }
    if (first + entries > this.#size) {
      throw weirError('TOO_LARGE', `no room for ${entries} more ${this.#name} of runtime policies`, {
        field: this.#name,
        value: entries,
        fix: `this host holds ${this.#size}, of all policies: remove some`,
      });
    }
    const region = { first, entries };
    this.adopt(region);
    return region;
  }

  give(region: Region): void {
    this.#taken = this.#taken.filter((taken) => taken.first !== region.first || taken.entries !== region.entries);
  }
}
