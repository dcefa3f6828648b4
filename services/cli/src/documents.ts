// SPDX-License-Identifier: Apache-2.0
/**
 * Policy files as one request, so that several files are applied all or none. Lines of the request are mapped back
 * to the file they came from, because that is where the reader will look.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CliFailure, EXIT, type LocateLine } from './failure.ts';

interface Source {
  readonly file: string;
  readonly firstLine: number;
}

export interface Documents {
  readonly text: string;
  readonly locate: LocateLine;
  /** Where each file begins; none: all is standard input. */
  readonly sources: readonly Source[];
}

const ENDINGS = ['.yaml', '.yml', '.json'];

const filesOf = (path: string): string[] => {
  try {
    if (!statSync(path).isDirectory()) return [path];
    const files = readdirSync(path)
      .filter((name) => ENDINGS.some((ending) => name.endsWith(ending)))
      .sort()
      .map((name) => join(path, name));
    if (files.length === 0) throw new CliFailure(EXIT.failed, `error: ${path} holds no ${ENDINGS.join(', ')} file`);
    return files;
  } catch (error) {
    if (error instanceof CliFailure) throw error;
    throw new CliFailure(EXIT.failed, `error: ${path} can't be read: ${(error as Error).message}`);
  }
};

export const readDocuments = async (paths: readonly string[], readStdin: () => Promise<string>): Promise<Documents> => {
  const parts: { file: string; text: string }[] = [];
  for (const path of paths) {
    if (path === '-') parts.push({ file: '<stdin>', text: await readStdin() });
    else for (const file of filesOf(path)) parts.push({ file, text: readFileSync(file, 'utf8') });
  }
  const starts: Source[] = [];
  let text = '';
  let line = 1;
  for (const [i, part] of parts.entries()) {
    if (i > 0) {
      text += '---\n';
      line++;
    }
    starts.push({ file: part.file, firstLine: line });
    const body = part.text.endsWith('\n') ? part.text : `${part.text}\n`;
    text += body;
    line += body.split('\n').length - 1;
  }
  return {
    text,
    sources: paths.every((path) => path === '-') ? [] : starts,
    locate: (wanted) => {
      const start = starts.findLast((s) => s.firstLine <= wanted) ?? { file: 'input', firstLine: 1 };
      return { file: start.file, line: wanted - start.firstLine + 1 };
    },
  };
};
