// SPDX-License-Identifier: Apache-2.0
/** Answers that come line by line, the last of them a summary: without it an answer is broken, never a short one. */
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { Problem } from '@weir/errors';
import { CliFailure, EXIT, Refused } from '../failure.ts';

interface Line {
  readonly event: string;
  readonly problem?: Problem;
}

/** What was told under the name `item`, and the summary. */
export const readLines = async <I, S>(
  response: Response,
  item: string,
): Promise<{ readonly items: readonly I[]; readonly summary: S }> => {
  const items: I[] = [];
  let summary: S | undefined;
  const body = Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]);
  for await (const text of createInterface({ input: body })) {
    const { event, problem, ...rest } = JSON.parse(text) as Line;
    if (event === 'error' && problem) throw new Refused(problem);
    if (event === item) items.push(rest as I);
    if (event === 'summary') summary = rest as S;
  }
  if (summary === undefined) throw new CliFailure(EXIT.failed, 'error: the answer broke off\n  fix: try again');
  return { items, summary };
};
