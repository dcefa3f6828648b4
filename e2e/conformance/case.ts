// SPDX-License-Identifier: Apache-2.0
/** What a case file says, whatever its format: worlds, actions, and cells with the verdict that is right. */
import type { Action, Cell, PolicyJson, Verdict, World } from './mode.ts';

export interface Expected {
  readonly cell: Cell;
  readonly want: Verdict;
  /** How the file names the ends, when not as the cell does. */
  readonly ends?: readonly [from: string, to: string];
}

export interface Step {
  readonly actions: readonly Action[];
  readonly expected: readonly Expected[];
  /** Reason -> cells that this build cannot be asked, as the file alone tells. */
  readonly skipped: ReadonlyMap<string, number>;
}

export interface Case {
  readonly name: string;
  readonly tags: readonly string[];
  readonly world: World;
  readonly steps: readonly Step[];
  /** Alone in a file, this runs again: for whoever looks into a mismatch. */
  readonly replay: unknown;
}

export interface InvalidPolicy {
  readonly name: string;
  readonly policy: PolicyJson;
  readonly why: string;
}

export interface PatternCase {
  readonly name: string;
  readonly pattern: string;
  readonly accept: readonly string[];
  readonly reject: readonly string[];
}

export interface Suite {
  readonly file: string;
  readonly cases: readonly Case[];
  readonly invalid: readonly InvalidPolicy[];
  readonly patterns: readonly PatternCase[];
  readonly invalidPatterns: readonly string[];
  /** Odd but harmless things in the file. */
  readonly notes: readonly string[];
}
