// SPDX-License-Identifier: Apache-2.0
/** The words of `weir runtime`. */
import { type Command, Option } from 'commander';
import type { ValidateOptions } from '../commands/runtime.ts';
import {
  applyRuntime,
  deleteRuntime,
  diffRuntime,
  getRuntime,
  hostsOfRuntime,
  listRuntime,
} from '../commands/runtime-fleet.ts';
import type { Context } from '../context.ts';
import { FORMATS, type Format } from '../output/table.ts';
import { collect, list } from './values.ts';

const files = (): Option =>
  new Option('-f, --filename <path>', 'file, folder, or - for standard input').argParser(collect).makeOptionMandatory();
const format = (): Option => new Option('-o, --output <format>').choices([...FORMATS]).default('table');

export const addRuntime = (parent: Command, context: Context): void => {
  const runtime = parent.command('runtime').description("policies about processes: Tetragon's TracingPolicy documents");
  runtime
    .command('validate')
    .description('whether documents are valid, and by which means of a kernel each hook is attached and enforced')
    .addOption(files())
    .option('--features <names>', 'what the kernel lets BPF do, such as kprobe,lsm (default: everything)', list)
    .addOption(new Option('-o, --output <format>').choices(['text', 'json', 'yaml']).default('text'))
    // Loaded where it is needed: the engine takes longer to load than all the rest of the command.
    .action(async (options: ValidateOptions) =>
      (await import('../commands/runtime.ts')).validateRuntime(context, options),
    );
  runtime
    .command('apply')
    .description('store documents for the fleet, all or none')
    .addOption(files())
    .option('--dry-run', 'check only')
    .action((o: { filename: string[]; dryRun?: boolean }) => applyRuntime(context, o.filename, o.dryRun === true));
  runtime
    .command('diff')
    .description('what apply would change; status 1 when something would')
    .addOption(files())
    .action((o: { filename: string[] }) => diffRuntime(context, o.filename));
  runtime
    .command('list')
    .description('the documents that are stored')
    .addOption(format())
    .action((o: { output: Format }) => listRuntime(context, o.output));
  runtime
    .command('get <policy>')
    .description('one, by kind/namespace/name; a name alone is a TracingPolicy')
    .addOption(new Option('-o, --output <format>').choices(['yaml', 'json']).default('yaml'))
    .action((key: string, o: { output: 'yaml' | 'json' }) => getRuntime(context, key, o.output));
  runtime
    .command('hosts <policy>')
    .description('what each host does about one, and why it is not enforced')
    .addOption(format())
    .action((key: string, o: { output: Format }) => hostsOfRuntime(context, key, o.output));
  runtime
    .command('delete <policy...>')
    .description('remove documents by kind/namespace/name')
    .action((keys: string[]) => deleteRuntime(context, keys));
};
