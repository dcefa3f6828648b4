// SPDX-License-Identifier: Apache-2.0
/** What was produced of events of processes, and what found no room, by kind. As Accounts does it for flows. */
import { FIRST_SEQ } from '../boot.ts';
import type { SpoolStats } from '../events/spool.ts';
import type { StateFile } from '../state-file.ts';

const LOST = 'lost_';
/** Pieces of arguments: the event that they belong to says that it is cut. */
const PIECES = 'lost_data';

export interface ProcessAccount {
  readonly produced: bigint;
  readonly lostRing: bigint;
  /** Of lostRing, by kind: exec, fork, exit, seen. */
  readonly lostByKind: Readonly<Record<string, bigint>>;
  readonly nextSeq: bigint;
  readonly spool: SpoolStats;
  /** Of programs, since their maps were made. */
  readonly lostEver: Readonly<Record<string, string>>;
}

export interface ProcessAccountsOptions {
  /** Of programs, since their maps were made; undefined: there are none yet. */
  readonly counters: () => Readonly<Record<string, bigint>> | undefined;
  readonly nextSeq: () => bigint;
  readonly spool: () => SpoolStats;
  readonly stateFile: StateFile;
}

export class ProcessAccounts {
  readonly #options: ProcessAccountsOptions;
  /** As it was reported by boots before. */
  readonly #before: Readonly<Record<string, string>>;

  constructor(options: ProcessAccountsOptions) {
    this.#options = options;
    this.#before = options.stateFile.state.reportedProcessesLost;
  }

  read(): ProcessAccount {
    const { counters, nextSeq, spool } = this.#options;
    const lostByKind: Record<string, bigint> = {};
    let lostRing = 0n;
    const lostEver: Record<string, string> = {};
    for (const [name, count] of Object.entries(counters() ?? {})) {
      if (!name.startsWith(LOST) || name === PIECES) continue;
      const kind = name.slice(LOST.length);
      const before = BigInt(this.#before[kind] ?? 0);
      // counters that were made anew count from nothing again
      const lost = before <= count ? count - before : count;
      lostEver[kind] = String(count);
      lostByKind[kind] = lost;
      lostRing += lost;
    }
    return {
      produced: nextSeq() - FIRST_SEQ + lostRing,
      lostRing,
      lostByKind,
      nextSeq: nextSeq(),
      spool: spool(),
      lostEver,
    };
  }

  /** It has been told to the bus. */
  async told({ lostEver }: ProcessAccount): Promise<void> {
    const { stateFile } = this.#options;
    if (Object.keys(lostEver).length === 0) return;
    if (JSON.stringify(lostEver) !== JSON.stringify(stateFile.state.reportedProcessesLost))
      await stateFile.save({ reportedProcessesLost: lostEver });
  }
}
