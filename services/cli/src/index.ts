// SPDX-License-Identifier: Apache-2.0
/** Runs one command line; what main.ts and the tests call. Resolves to the exit status. */
import { type Command, CommanderError } from 'commander';
import { Client } from './client.ts';
import { answerShell, askedWords } from './commands/complete.ts';
import type { Context } from './context.ts';
import { CliFailure, EXIT } from './failure.ts';
import { createPaint } from './output/table.ts';
import { createProgram } from './program.ts';

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
  readonly colours: boolean;
  /** Of the terminal; 80 without one. */
  readonly columns?: number;
  readonly signal: AbortSignal;
  readonly readStdin: () => Promise<string>;
}

const STANDARD_COLUMNS = 80;

export const run = async (words: readonly string[], around: Surroundings): Promise<number> => {
  let exitCode: number = EXIT.ok;
  const context: Context = {
    ...around,
    client: new Client(around.env),
    paint: createPaint(around.colours),
    setExitCode: (code) => {
      exitCode = code;
    },
  };
  const program = createProgram(context);
  quiet(program, around);
  const asked = askedWords(words);
  if (asked !== undefined) {
    await answerShell(context, program, asked);
    return EXIT.ok;
  }
  try {
    await program.parseAsync([...words], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (around.signal.aborted) return exitCode;
    // Help and version are no failures; everything else commander says is about the words given.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (error instanceof CliFailure) {
      around.err(error.message);
      return error.exitCode;
    }
    around.err(`error: this should not have happened: ${(error as Error).message}`);
    around.err(around.env.WEIR_DEBUG ? ((error as Error).stack ?? '') : '  fix: WEIR_DEBUG=1 shows where');
    return EXIT.failed;
  }
};

/** Subcommands don't inherit these from their parent once they exist, so each is told. */
const quiet = (command: Command, around: Surroundings): void => {
  command.exitOverride();
  const width = (): number => around.columns ?? STANDARD_COLUMNS;
  command.configureOutput({
    getOutHelpWidth: width,
    getErrHelpWidth: width,
    getOutHasColors: () => around.colours,
    getErrHasColors: () => around.colours,
    writeOut: (text) => around.out(text.replace(/\n$/, '')),
    writeErr: (text) => around.err(text.replace(/\n$/, '')),
  });
  for (const child of command.commands) quiet(child, around);
};
