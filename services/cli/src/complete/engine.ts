// SPDX-License-Identifier: Apache-2.0
/**
 * What may stand where the cursor is, from the words in front of it: commands, options, and values of both. The words of the
 * command line are those of program.ts; the names of things are asked for (names.ts). Nothing here may fail or take long:
 * somebody is typing.
 */
import type { Command, Option } from 'commander';
import type { Context } from '../context.ts';
import { namesFor } from './names.ts';

export interface Candidate {
  readonly value: string;
  readonly help: string;
}

export interface Completion {
  readonly candidates: readonly Candidate[];
  /** Files may stand there. */
  readonly files: boolean;
}

const FILE_OPTIONS = new Set(['filename', 'input-file']);

const takesValue = (option: Option): boolean => option.required || option.optional;
const nameOf = (option: Option): string => (option.long ?? '').replace(/^--/, '');
const plain = (values: readonly string[]): Candidate[] => values.map((value) => ({ value, help: '' }));

const optionOf = (command: Command, word: string): Option | undefined =>
  command.options.find(({ long, short }) => word === long || word === short);

interface Place {
  readonly command: Command;
  /** Words that are neither options nor their values, behind the command. */
  readonly given: readonly string[];
  /** Whose value the cursor is at. */
  readonly option?: Option;
  /** Behind `--` only values stand. */
  readonly ended: boolean;
}

/** Reads the words in front of the one that is typed. */
const placeOf = (program: Command, words: readonly string[]): Place => {
  let command = program;
  let given: string[] = [];
  let option: Option | undefined;
  let ended = false;
  for (const word of words) {
    if (option !== undefined) option = undefined;
    else if (ended) given.push(word);
    else if (word === '--') ended = true;
    else if (word.startsWith('-')) {
      const found = optionOf(command, word);
      if (found !== undefined && takesValue(found)) option = found;
    } else {
      const child = given.length === 0 ? command.commands.find((one) => isNamed(one, word)) : undefined;
      if (child === undefined) given.push(word);
      else {
        command = child;
        given = [];
      }
    }
  }
  return { command, given, ended, ...(option === undefined ? {} : { option }) };
};

const isNamed = (command: Command, word: string): boolean =>
  command.name() === word || command.aliases().includes(word);

const pathOf = (command: Command): string =>
  command.parent === null ? '' : `${pathOf(command.parent)} ${command.name()}`.trim();

const valuesOf = async (context: Context, command: Command, option: Option): Promise<Completion> => {
  if (FILE_OPTIONS.has(nameOf(option))) return { candidates: [], files: true };
  const values = option.argChoices ?? (await namesFor(context, pathOf(command), nameOf(option), []));
  return { candidates: plain(values), files: false };
};

/** `words`: those behind the name of the program; the last is the one that is typed, perhaps empty. */
export const complete = async (context: Context, program: Command, words: readonly string[]): Promise<Completion> => {
  const typed = words.at(-1) ?? '';
  const { command, given, option, ended } = placeOf(program, words.slice(0, -1));
  const fitting = ({ candidates, files }: Completion, before = ''): Completion => ({
    candidates: candidates
      .map(({ value, help }) => ({ value: before + value, help }))
      .filter(({ value }) => value.startsWith(typed)),
    files,
  });
  if (option !== undefined) return fitting(await valuesOf(context, command, option));
  const [, long = ''] = /^(--[^=]+)=/.exec(typed) ?? [];
  const joined = ended || long === '' ? undefined : optionOf(command, long);
  if (joined !== undefined) return fitting(await valuesOf(context, command, joined), `${long}=`);
  const shown = command.createHelp();
  if (!ended && typed.startsWith('-')) {
    const options = shown.visibleOptions(command);
    return fitting({
      candidates: options.map(({ long: value, description }) => ({ value: value ?? '', help: description })),
      files: false,
    });
  }
  const commands = given.length > 0 ? [] : shown.visibleCommands(command).filter((child) => child !== command);
  const argument = command.registeredArguments[given.length] ?? command.registeredArguments.find((one) => one.variadic);
  const values =
    argument === undefined
      ? []
      : (argument.argChoices ?? (await namesFor(context, pathOf(command), argument.name(), given)));
  return fitting({
    candidates: [
      ...commands.map((child) => ({ value: child.name(), help: child.summary() || child.description() })),
      ...plain(values.filter((value) => !given.includes(value))),
    ],
    files: false,
  });
};
