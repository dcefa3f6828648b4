// SPDX-License-Identifier: Apache-2.0
/**
 * Which files a text of documents was put together from, so that a rule in force can be found where it was written. Lines that
 * are kept are those of the file; refusals go on naming lines of the text, which whoever sent it can place by himself.
 */
import { weirError } from '@weir/errors';

/** From `firstLine` of the text (from 1) up to the next source. */
export interface Source {
  readonly file: string;
  readonly firstLine: number;
}

/** As many as documents may be in one text. */
export const SOURCES_MAX = 10_000;
export const FILE_MAX_LENGTH = 1_024;

export interface Place {
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
}

const refused = (path: string, value: unknown, message: string, fix: string): Error =>
  weirError('INVALID_ARGUMENT', `${path} ${message}`, { field: path, value, fix });

/** Throws INVALID_ARGUMENT unless every line is of one source. */
export const checkSources = (sources: readonly Source[]): readonly Source[] => {
  if (sources.length > SOURCES_MAX) {
    throw refused('sources', sources.length, `has more than ${SOURCES_MAX} entries`, 'apply in several requests');
  }
  for (const [i, { file, firstLine }] of sources.entries()) {
    if (file === '' || file.length > FILE_MAX_LENGTH) {
      const fix = `give the path of the file, ${FILE_MAX_LENGTH} characters at most`;
      throw refused(`sources[${i}].file`, file.slice(0, 100), 'is no name of a file', fix);
    }
    const least = (sources[i - 1]?.firstLine ?? 0) + 1;
    if (i === 0 ? firstLine !== 1 : firstLine < least) {
      const fix = i === 0 ? 'begin with line 1' : 'list them in the order of the text';
      throw refused(`sources[${i}].first_line`, firstLine, 'does not follow the one before', fix);
    }
  }
  return sources;
};

/** Where a place of the text is; without sources, there. */
export const placeIn = (
  sources: readonly Source[],
  { line, column }: { readonly line?: number; readonly column?: number },
): Place => {
  if (line === undefined) return { file: null, line: null, column: null };
  const at = { column: column ?? null };
  // Few and short: a search by halves would not be noticed.
  const source = sources.findLast(({ firstLine }) => firstLine <= line);
  return source === undefined
    ? { file: null, line, ...at }
    : { file: source.file, line: line - source.firstLine + 1, ...at };
};
