// SPDX-License-Identifier: Apache-2.0
/**
 * What was counted, and since when. The kernel's counters outlive agents: what the ring buffer lost while none ran
 * belongs to the next one's account, so each keeps on disk up to where it has told.
 */
import { FIRST_SEQ } from '../boot.ts';
import type { EventPump } from '../events/pump.ts';
import type { Counters, Platform, SweepResult } from '../platform.ts';
import type { StateFile } from '../state-file.ts';

export class Accounts {
  readonly #platform: Pick<Platform, 'counters' | 'sweep'>;
  readonly #stateFile: StateFile;
  readonly #pump: EventPump;
  #counters: Counters = { named: {}, eventsLost: 0n };
  #lostBefore = 0n;
  #swept: SweepResult | undefined;

  private constructor(platform: Pick<Platform, 'counters' | 'sweep'>, stateFile: StateFile, pump: EventPump) {
    this.#platform = platform;
    this.#stateFile = stateFile;
    this.#pump = pump;
  }

  static async open(
    platform: Pick<Platform, 'counters' | 'sweep'>,
    stateFile: StateFile,
    pump: EventPump,
  ): Promise<Accounts> {
    const accounts = new Accounts(platform, stateFile, pump);
    await accounts.read();
    const told = BigInt(stateFile.state.reportedLost);
    // Maps that were made anew count from nothing again.
    accounts.#lostBefore = told <= accounts.#counters.eventsLost ? told : 0n;
    return accounts;
  }

  get counters(): Counters {
    return this.#counters;
  }

  get swept(): SweepResult | undefined {
    return this.#swept;
  }

  /** Flow events that found no room in the ring buffer, in this boot or between the one before and this. */
  get lostRing(): bigint {
    return this.#counters.eventsLost - this.#lostBefore;
  }

  get nextSeq(): bigint {
    return this.#pump.nextSeq;
  }

  get taken(): bigint {
    return this.#pump.nextSeq - FIRST_SEQ;
  }

  async read(): Promise<void> {
    this.#counters = await this.#platform.counters();
  }

  async sweep(): Promise<void> {
    this.#swept = await this.#platform.sweep();
  }

  /** The losses known now have been told to the bus. */
  async told(): Promise<void> {
    const eventsLost = String(this.#counters.eventsLost);
    if (eventsLost !== this.#stateFile.state.reportedLost) await this.#stateFile.save({ reportedLost: eventsLost });
  }
}
