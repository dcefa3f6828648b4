// SPDX-License-Identifier: Apache-2.0
/** What a run came out as, for people and as a file that is itself a case file of what was wrong. */
import { writeFileSync } from 'node:fs';
import type { Mismatch, Tally } from './run.ts';

export const mismatchText = (found: Mismatch): string => {
  const where = `${found.file}: ${found.case}${found.step === undefined ? '' : `, step ${found.step}`}`;
  const ends =
    found.from === undefined
      ? ''
      : `: ${found.from} -> ${found.to} ${found.protocol}/${found.port} ${found.family}${found.view === undefined ? '' : ` ${found.view}`}`;
  const why = found.explanation === '' ? '' : `\n    ${found.explanation.replaceAll('\n', '\n    ')}`;
  return `${where}${ends}: wanted ${found.wanted}, got ${found.got}${why}\n`;
};

/** `cells 120, wrong 0, skipped 3 (2 tag sctp; 1 flows of kind http are not enforced yet)` */
export const tallyText = ({ cells, wrong, skipped }: Tally): string => {
  const sum = [...skipped.values()].reduce((all, one) => all + one, 0);
  const why = [...skipped].map(([reason, count]) => `${count} ${reason}`).join('; ');
  return `cells ${cells}, wrong ${wrong}, skipped ${sum}${why === '' ? '' : ` (${why})`}`;
};

/** Format 2 keeps its world beside its cases, so only replays with the same one fit into one file; others go beside. */
const replayFile = (replays: readonly unknown[]): { meta?: unknown; cases: unknown[]; more: unknown[] } => {
  const all = replays as { meta?: unknown; cases: unknown[] }[];
  const meta = all.find((one) => one.meta !== undefined)?.meta;
  const fits = all.filter((one) => one.meta === undefined || JSON.stringify(one.meta) === JSON.stringify(meta));
  return {
    ...(meta === undefined ? {} : { meta }),
    cases: fits.flatMap(({ cases }) => cases),
    more: all.filter((one) => !fits.includes(one)),
  };
};

export interface ReportFacts {
  readonly mode: string;
  readonly files: readonly string[];
  readonly durationMs: number;
  readonly random?: number;
  readonly seed?: number;
}

export const writeReport = (path: string, tally: Tally, facts: ReportFacts): void => {
  const { cells, wrong, skipped, mismatches, replays } = tally;
  const { more, ...file } = replayFile(replays);
  const report = { ...facts, cells, wrong, skipped: Object.fromEntries(skipped), mismatches, otherFiles: more };
  writeFileSync(path, `${JSON.stringify({ report, ...file }, null, 1)}\n`);
};
