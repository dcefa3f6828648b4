// SPDX-License-Identifier: Apache-2.0
/** The words of `weir processes`. */
import { type Command, Option } from 'commander';
import { observeProcesses, processTree } from '../commands/processes.ts';
import type { Context } from '../context.ts';
import { collect, positive } from './values.ts';

/** By flag: the service's parameter, and what it is about. */
const FILTERS: Readonly<Record<string, readonly [parameter: string, help: string]>> = {
  workload: ['workload', 'workload: name or namespace/name'],
  namespace: ['namespace', 'namespace of the workload'],
  binary: ['binary', 'path, or a name without one; * stands for anything'],
  arguments: ['arguments', 'what is in them somewhere; * stands for anything'],
  pid: ['pid', "number in the host's first pid namespace"],
  uid: ['uid', 'effective user'],
  host: ['host', 'where it was seen'],
  unit: ['unit', 'unit or virtual machine, id of a container; * stands for anything'],
  'exec-id': ['exec_id', 'of one image of one process'],
  'parent-exec-id': ['parent_exec_id', 'the same, of its parent'],
  policy: ['policy', 'runtime policy'],
};
const KINDS = ['exec', 'fork', 'exit', 'seen', 'hook'];
const VERDICTS = ['FORWARDED', 'DROPPED', 'AUDIT'];

interface ObserveWords {
  readonly output: 'compact' | 'json';
  readonly follow?: boolean;
  readonly last?: number;
  readonly since?: string;
  readonly until?: string;
  readonly event?: readonly string[];
  readonly verdict?: readonly string[];
}

const camel = (flag: string): string => flag.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** `choices` would take the place of what collects. */
const oneOf = (option: Option, words: readonly string[]): Option => {
  option.choices([...words]);
  const check = option.parseArg as unknown as (value: string, previous: undefined) => string;
  return option.argParser((value: string, previous?: string[]) => collect(check(value, undefined), previous));
};

export const addProcesses = (parent: Command, context: Context): void => {
  const processes = parent.command('processes').description('what processes of the fleet do, and who began whom');
  const observe = processes
    .command('observe')
    .description('events of processes, oldest first: the last 20, or those of a time, or as they happen')
    .addOption(oneOf(new Option('-e, --event <kind>', 'exec, fork, exit, seen (ran before the agent), hook'), KINDS))
    .addOption(oneOf(new Option('--verdict <verdict>', 'DROPPED: a policy kept it from what it wanted'), VERDICTS));
  for (const [flag, [, help]] of Object.entries(FILTERS))
    observe.addOption(new Option(`${flag === 'namespace' ? '-n, ' : ''}--${flag} <value>`, help).argParser(collect));
  observe
    .option('-f, --follow', 'go on with what happens')
    .option('--last <n>', 'begin with so many (default: 20)', positive)
    .option('--since <time>', 'from then on: 5m, or 2026-08-01T12:00:00Z')
    .option('--until <time>', 'up to then')
    .addOption(new Option('-o, --output <format>').choices(['compact', 'json']).default('compact'))
    .action(({ output, follow, last, since, until, event, verdict, ...given }: ObserveWords) => {
      const words = given as Readonly<Record<string, readonly string[] | undefined>>;
      const filters = Object.fromEntries(
        Object.entries(FILTERS).map(([flag, [parameter]]) => [parameter, words[camel(flag)]]),
      );
      const all = { ...filters, kind: event?.map((kind) => kind.toUpperCase()), verdict };
      return observeProcesses(context, { output, follow, last, since, until, filters: all });
    });
  processes
    .command('tree')
    .description('a process with those above it, beside it and below it')
    .argument('<exec-id>', 'of an event: weir processes observe -o json')
    .addOption(new Option('-o, --output <format>').choices(['tree', 'json']).default('tree'))
    .action((execId: string, { output }: { output: 'tree' | 'json' }) => processTree(context, execId, output));
};
