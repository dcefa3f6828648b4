// SPDX-License-Identifier: Apache-2.0
/** The words for versions of policies, and for who changes them and why. */
import { type Command, Option } from 'commander';
import { type ChangeOptions, type HistoryOptions, history, promote, restore } from '../commands/versions.ts';
import type { Context } from '../context.ts';
import { FORMATS } from '../output/table.ts';
import { list, positive } from './values.ts';

export const addAttribution = (command: Command): Command =>
  command
    .option('--author <name>', 'who changes it, kept with the version (WEIR_AUTHOR)')
    .option('--reason <text>', 'why, kept with the version')
    .addOption(
      new Option(
        '--established <what>',
        'connections that are established and would be refused: cut (default), or drain: they may go on until they end',
      ).choices(['cut', 'drain']),
    );

const changing = (command: Command): Command =>
  addAttribution(command)
    .option('--wait', 'until every host that is alive holds it in its kernel')
    .addOption(new Option('--timeout <seconds>', 'longest wait').argParser(positive).default(30));

export const addVersions = (program: Command, context: Context): void => {
  program
    .command('history <policy>')
    .description('versions of a policy, the newest first: when, by whom and why')
    .addOption(new Option('-o, --output <format>').choices([...FORMATS]).default('table'))
    .addOption(
      new Option('--diff <versions>', 'what differs: --diff 3,5, or --diff 3 with what is in force').argParser(list),
    )
    .action((key: string, options: HistoryOptions) => history(context, key, options));
  changing(
    program
      .command('restore <policy>')
      .description('make a former version of a policy the newest again, of a deleted one too')
      .requiredOption('--to <version>', 'of weir history'),
  ).action((key: string, options: ChangeOptions & { to: string }) => restore(context, key, options));
  changing(
    program
      .command('promote <policy>')
      .description(
        'enforce a policy that is staged or audited; a staged one takes the place of the one that it is about',
      ),
  ).action((key: string, options: ChangeOptions) => promote(context, key, options));
};
