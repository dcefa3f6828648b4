// SPDX-License-Identifier: Apache-2.0
/** The words of `weir runtime`. */
import { type Command, Option } from 'commander';
import type { ValidateOptions } from '../commands/runtime.ts';
import type { Context } from '../context.ts';
import { collect, list } from './values.ts';

export const addRuntime = (parent: Command, context: Context): void => {
  const runtime = parent.command('runtime').description("policies about processes: Tetragon's TracingPolicy documents");
  runtime
    .command('validate')
    .description('whether documents are valid, and by which means of a kernel each hook is attached and enforced')
    .addOption(
      new Option('-f, --filename <path>', 'file, folder, or - for standard input')
        .argParser(collect)
        .makeOptionMandatory(),
    )
    .option('--features <names>', 'what the kernel lets BPF do, such as kprobe,lsm (default: everything)', list)
    .addOption(new Option('-o, --output <format>').choices(['text', 'json', 'yaml']).default('text'))
    .action(async (options: ValidateOptions) =>
      (await import('../commands/runtime.ts')).validateRuntime(context, options),
    );
};
