// SPDX-License-Identifier: Apache-2.0
/** What a fault or an attack came out as, in one line that a person reads and a script can cut. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';

export type Figures = Readonly<Record<string, number | string | bigint>>;

/** A pass mark: what it says, and whether the figures meet it. */
export type Mark = readonly [text: string, holds: boolean];

/** Prints `F01 PASS resets=0 ...` and fails the test with every mark that was missed. */
export const report = (
  t: Pick<TestContext, 'diagnostic'>,
  row: string,
  figures: Figures,
  marks: readonly Mark[],
): void => {
  assert.ok(marks.length > 0, `${row} has no pass mark`);
  const missed = marks.filter(([, holds]) => !holds).map(([text]) => text);
  const text = Object.entries(figures)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
  t.diagnostic(`${row} ${missed.length === 0 ? 'PASS' : 'FAIL'} ${text}`);
  assert.equal(missed.length, 0, `${row}: wanted ${missed.join('; ')}; got ${text}`);
};
