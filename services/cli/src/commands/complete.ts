// SPDX-License-Identifier: Apache-2.0
/** `weir complete SHELL`, and what the shell then asks: `weir complete -- WORDS...`. */
import { escapeUntrusted } from '@weir/net';
import { Argument, type Command } from 'commander';
import { complete } from '../complete/engine.ts';
import { printScript, SHELLS } from '../complete/scripts.ts';
import type { Context } from '../context.ts';

export const addComplete = (program: Command, context: Context): void => {
  program
    .command('complete')
    .description('completion for a shell to load: source <(weir complete bash)')
    .addArgument(new Argument('<shell>').choices([...SHELLS]))
    .action((shell: string) => printScript(shell, context.out));
};

/** The words that a shell asks about; undefined when it is none that asks. */
export const askedWords = (words: readonly string[]): readonly string[] | undefined =>
  words[0] === 'complete' && words[1] === '--' ? words.slice(2) : undefined;

export const answerShell = async (context: Context, program: Command, words: readonly string[]): Promise<void> => {
  const { candidates, files } = await complete(context, program, words);
  for (const { value, help } of candidates) {
    // Names come from outside; one that would drive the terminal is none that somebody wants to type.
    if (value === escapeUntrusted(value) && !/\s/.test(value)) context.out(`${value}\t${help}`);
  }
  context.out(files ? ':0' : ':4');
};
