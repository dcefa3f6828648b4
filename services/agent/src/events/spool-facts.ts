// SPDX-License-Identifier: Apache-2.0
/** What a spool is told, and what it tells of itself. */
import type { LostRange } from './losses.ts';

export interface SpoolOptions {
  readonly dir: string;
  /** Start of this agent, unix ms. */
  readonly boot: bigint;
  readonly maxBytes: number;
  /** Size at which a file is closed and the next begun. */
  readonly segmentBytes?: number;
  /** Bytes that may wait in memory for a disk that is slow; beyond, batches are shed. */
  readonly queueBytes?: number;
  readonly onAppended?: () => void;
  readonly onTrouble?: (what: string, cause: unknown) => void;
}

export interface SpoolStats {
  readonly bytes: number;
  readonly segments: number;
  /** Events in the spool, committed or not. */
  readonly events: number;
  /** Shed before any publish was tried, of this boot. */
  readonly lost: bigint;
  readonly lostEarlier: bigint;
  readonly lostRanges: readonly LostRange[];
  /** First acknowledgements of the bus, events of this boot. */
  readonly published: bigint;
  readonly committedSeq: bigint;
}
