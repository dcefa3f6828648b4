// SPDX-License-Identifier: Apache-2.0
/** The words of the command line: every command, option and its help, and nothing of what they do. */
import { Command, InvalidArgumentError, Option } from 'commander';
import manifest from '../package.json' with { type: 'json' };
import type { ExplainOptions } from './commands/explain.ts';
import { type GetOptions, get } from './commands/get.ts';
import { END_FILTERS, FLOW_FILTERS, OBSERVE_FORMATS, observe } from './commands/observe.ts';
import { apply, diff, type RemoveOptions, remove } from './commands/policies.ts';
import { RESOURCES } from './commands/resources.ts';
import { status } from './commands/status.ts';
import type { Context } from './context.ts';
import { FORMATS } from './output/table.ts';

const { version } = manifest;

const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

const positive = (value: string): number => {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 1) throw new InvalidArgumentError('give a whole number from 1.');
  return number;
};

const files = (): Option =>
  new Option('-f, --filename <path>', 'file, folder, or - for standard input').argParser(collect);

export const createProgram = (context: Context): Command => {
  const program = new Command('weir')
    .version(version, '-V, --version', 'version of this command')
    .description('Networking, policy and visibility for a fleet of Linux hosts.')
    .addHelpText(
      'after',
      '\nServices are found by WEIR_INVENTORY_URL, WEIR_POLICY_URL and WEIR_ANALYTICS_URL.\n' +
        'Exit status: 0 done, 1 refused or failed (diff: differs), 2 wrong usage, 3 service not reachable.',
    )
    .showHelpAfterError('(weir --help lists the commands)');

  program
    .command('status')
    .description('is the fleet well?')
    .addOption(new Option('-o, --output <format>').choices(['table', 'json']).default('table'))
    .action((options: { output: 'table' | 'json' }) => status(context, options.output));

  const getCommand = program.command('get').description('list things of the fleet, or show one');
  for (const noun of Object.keys(RESOURCES)) {
    getCommand
      .command(`${noun} [id]`)
      .alias(noun.replace(/ies$/, 'y').replace(/s$/, ''))
      .description(`list ${noun}, or show one`)
      .addOption(new Option('-o, --output <format>').choices([...FORMATS]).default('table'))
      .option('-n, --namespace <name>', 'only of this namespace')
      .option('--host <name>', 'only on this host')
      .option('-l, --label <key=value>', 'only with this label (may be repeated)', collect)
      .action((id: string | undefined, options: GetOptions) => get(context, noun, id, options));
  }

  program
    .command('apply')
    .description('create or change policies; all documents or none')
    .addOption(files().makeOptionMandatory())
    .option('--dry-run', 'check only')
    .option('--wait', 'until every host that is alive holds it in its kernel')
    .addOption(new Option('--timeout <seconds>', 'longest wait').argParser(positive).default(30))
    .option('--trace', 'wait, then show when the change was where, from the request to the maps of each host')
    .action((o: { filename: string[]; dryRun?: boolean; wait?: boolean; trace?: boolean; timeout: number }) =>
      apply(context, { ...o, file: o.filename }),
    );

  program
    .command('diff')
    .description('what apply would change; status 1 when something would')
    .addOption(files().makeOptionMandatory())
    .action((o: { filename: string[] }) => diff(context, o.filename));

  program
    .command('delete [policy...]')
    .description('delete policies by kind/namespace/name or by the documents in files')
    .addOption(files())
    .option('--ignore-not-found', 'what is not there is no failure')
    .action((keys: string[], o: RemoveOptions) => remove(context, keys, o));

  addExplain(program, context);

  addObserve(program, context, 'observe');
  addObserve(getCommand, context, 'flows');
  return program;
};

const addExplain = (parent: Command, context: Context): void => {
  parent
    .command('explain')
    .description('why a flow passes or not, at both ends, by the policies in force; status 1 when it is refused')
    .requiredOption('--from <end>', 'workload as namespace/name, or an address')
    .requiredOption('--to <end>', 'workload as namespace/name, or an address')
    .option('--port <port>', 'destination port; for ICMP the type', '0')
    .option('--protocol <name>', 'TCP, UDP, SCTP, ICMP, ICMPv6', 'TCP')
    .option('-f, --filename <path>', 'as if these documents had been applied', collect)
    .addOption(new Option('-o, --output <format>').choices(['text', 'json', 'yaml']).default('text'))
    .action(async (options: ExplainOptions) => (await import('./commands/explain.ts')).explainFlow(context, options));
};

/** Letters that are worth their confusion: those that kubectl and hubble have. */
const SHORT: Readonly<Record<string, string>> = { namespace: '-n, ', label: '-l, ' };

const addObserve = (parent: Command, context: Context, name: string): void => {
  const command = parent
    .command(name)
    .description('flows of the fleet, oldest first')
    .addOption(
      new Option('-o, --output <format>').choices([...OBSERVE_FORMATS]).default(name === 'flows' ? 'table' : 'compact'),
    )
    .option('-f, --follow', 'go on with live flows until Ctrl-C')
    .addOption(new Option('--last <n>', 'the newest n (20)').argParser(positive))
    .option('--since <time>', 'from then on: RFC 3339, or how long ago: 30s, 5m, 2h')
    .option('--until <time>', 'up to then');
  for (const filter of END_FILTERS) {
    command.addOption(
      new Option(`${SHORT[filter] ?? ''}--${filter} <value>`, `${filter} of either end`).argParser(collect),
    );
    command.addOption(new Option(`--from-${filter} <value>`, `${filter} of the source`).argParser(collect));
    command.addOption(new Option(`--to-${filter} <value>`, `${filter} of the destination`).argParser(collect));
  }
  for (const [filter, help] of Object.entries(FLOW_FILTERS)) {
    command.addOption(new Option(`--${filter} <value>`, help).argParser(collect));
  }
  command.action((options: Record<string, unknown>) => {
    const filters = new URLSearchParams();
    const names = [...END_FILTERS.flatMap((f) => [f, `from-${f}`, `to-${f}`]), ...Object.keys(FLOW_FILTERS)];
    for (const filter of names) {
      const camel = filter.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
      for (const value of (options[camel] as string[] | undefined) ?? [])
        filters.append(filter.replaceAll('-', '_'), value);
    }
    return observe(context, { ...(options as unknown as Parameters<typeof observe>[1]), filters });
  });
};
