// SPDX-License-Identifier: Apache-2.0
/** The words of the command line: every command, option and its help, and nothing of what they do. */
import { Command, InvalidArgumentError, Option } from 'commander';
import manifest from '../package.json' with { type: 'json' };
import { addComplete } from './commands/complete.ts';
import { getConfig, setConfig, viewConfig } from './commands/config.ts';
import type { ExplainOptions } from './commands/explain.ts';
import { type GetOptions, get } from './commands/get.ts';
import { type HitsOptions, showHits } from './commands/hits.ts';
import type { LintCommandOptions } from './commands/lint.ts';
import { type ApplyOptions, apply, diff, type RemoveOptions, remove } from './commands/policies.ts';
import { RESOURCES } from './commands/resources.ts';
import { FAIL_ON, type FailOn, type SimulateOptions, simulate } from './commands/simulate.ts';
import { status } from './commands/status.ts';
import { type SuggestOptions, suggest } from './commands/suggest.ts';
import { showVersion } from './commands/version.ts';
import { attribution, type ChangeOptions } from './commands/versions.ts';
import type { Context } from './context.ts';
import { FORMATS } from './output/table.ts';
import { addObjects } from './words/objects.ts';
import { addObserve } from './words/observe.ts';
import { addProcesses } from './words/processes.ts';
import { addRuntime } from './words/runtime.ts';
import { collect, list as names, positive } from './words/values.ts';
import { addAttribution, addVersions } from './words/versions.ts';

const { version } = manifest;

const files = (): Option =>
  new Option('-f, --filename <path>', 'file, folder, or - for standard input').argParser(collect);

export const createProgram = (context: Context): Command => {
  const program = new Command('weir')
    .version(version, '-V, --version', 'version of this command')
    .description('Networking, policy and visibility for a fleet of Linux hosts.')
    .addHelpText(
      'after',
      '\nServices are found by WEIR_INVENTORY_URL, WEIR_POLICY_URL and WEIR_ANALYTICS_URL, else by the context of the\n' +
        'configuration file (weir config), chosen by WEIR_CONTEXT or its current-context.\n' +
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
      .option('-w, --watch', 'go on with every row that is new, different or gone, until Ctrl-C')
      .action((id: string | undefined, options: GetOptions) => get(context, noun, id, options));
  }

  addAttribution(program.command('apply'))
    .description('create or change policies, all documents or none, egress gateways, services and their announcements')
    .addOption(files().makeOptionMandatory())
    .option('--dry-run', 'check only')
    .option('--wait', 'until every host that is alive holds it in its kernel')
    .addOption(new Option('--timeout <seconds>', 'longest wait').argParser(positive).default(30))
    .option('--trace', 'wait, then show when the change was where, from the request to the maps of each host')
    .action((o: Omit<ApplyOptions, 'file'> & ChangeOptions & { filename: string[] }) =>
      apply(context, { ...o, file: o.filename, by: attribution(context, o) }),
    );

  program
    .command('diff')
    .description('what apply would change; status 1 when something would')
    .addOption(files().makeOptionMandatory())
    .action((o: { filename: string[] }) => diff(context, o.filename));

  addAttribution(program.command('delete [policy...]'))
    .description('delete policies, egress gateways and services by kind/namespace/name or by the documents in files')
    .addOption(files())
    .option('--ignore-not-found', 'what is not there is no failure')
    .action((keys: string[], o: RemoveOptions & ChangeOptions) =>
      remove(context, keys, { ...o, by: attribution(context, o) }),
    );
  addVersions(program, context);

  addExplain(program, context);
  addLint(program, context);
  addSimulate(program, context);
  addSuggest(program, context);
  addHits(program, context);
  addObjects(program, context);
  addRuntime(program, context);
  addProcesses(program, context);

  addObserve(program, context, 'observe');
  addObserve(getCommand, context, 'flows');

  const list = program.command('list').description('what flows come from: nodes, namespaces');
  for (const [noun, kind] of [
    ['nodes', 'hosts'],
    ['namespaces', 'namespaces'],
  ] as const) {
    list
      .command(noun)
      .description(`the same as get ${kind}`)
      .addOption(new Option('-o, --output <format>').choices([...FORMATS]).default('table'))
      .action((options: GetOptions) => get(context, kind, undefined, options));
  }

  addConfig(program, context);
  program
    .command('version')
    .description('versions of this command and of the services')
    .addOption(new Option('-o, --output <format>').choices(['text', 'json']).default('text'))
    .action((options: { output: 'text' | 'json' }) => showVersion(context, version, options.output));
  addComplete(program, context);
  return program;
};

const addConfig = (parent: Command, context: Context): void => {
  const config = parent.command('config').description('contexts: where the services of each fleet are');
  config
    .command('view')
    .description('show the configuration file')
    .action(() => viewConfig(context));
  config
    .command('get <key>')
    .description('current-context, or contexts.NAME.SERVICE')
    .action((key: string) => getConfig(context, key));
  config
    .command('set <key> <value>')
    .description('set one, such as contexts.lab.policy http://lab:7102')
    .action((key: string, value: string) => setConfig(context, key, value));
  config
    .command('reset <key>')
    .description('forget one')
    .action((key: string) => setConfig(context, key, undefined));
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
    .option('--at <time>', 'at that time (RFC 3339) instead of now: for policies with a time')
    .option('--probe', 'try it, from the workload, and say whether the kernel does what the policies say')
    .addOption(new Option('-o, --output <format>').choices(['text', 'json', 'yaml']).default('text'))
    .action(async (options: ExplainOptions) => (await import('./commands/explain.ts')).explainFlow(context, options));
};

const addLint = (parent: Command, context: Context): void => {
  parent
    .command('lint')
    .description('what is odd about the policies in force, or about documents among them; status 1 when anything is')
    .option('-f, --filename <path>', 'file, folder, or - for standard input: as if it had been applied', collect)
    .option('--offline', 'look at the files alone, ask no service')
    .option('--notes', 'notes, too: what is a matter of taste')
    .addOption(new Option('-o, --output <format>').choices(['text', 'json', 'yaml']).default('text'))
    .action(async (options: LintCommandOptions) => (await import('./commands/lint.ts')).lintFiles(context, options));
};

const addSimulate = (parent: Command, context: Context): void => {
  parent
    .command('simulate')
    .description('what documents would change for the flows that were recorded, judged by the engine that enforces')
    .option('-f, --filename <path>', 'file, folder, or - for standard input: as if it had been applied', collect)
    .option('--remove <key>', 'as if this policy (kind/namespace/name) had been deleted (may be repeated)', names)
    .option('--since <time>', 'RFC 3339, or how long ago, such as 24h (default: all that is stored)')
    .option('--until <time>', 'RFC 3339, or how long ago (default: now)')
    .option('--staged', 'as if staged documents, those in force too, were in place')
    .addOption(new Option('--limit <count>', 'changes shown one by one; all are counted').argParser(positive))
    .addOption(
      new Option('--fail-on <what>', `status 1 when there are such flows: ${FAIL_ON.join(', ')}`).argParser(
        (value: string, previous: FailOn[] = []) => {
          const known = FAIL_ON.find((one) => one === value);
          if (known === undefined) throw new InvalidArgumentError(`use one of ${FAIL_ON.join(', ')}.`);
          return [...previous, known];
        },
      ),
    )
    .addOption(new Option('-o, --output <format>').choices(['table', 'wide', 'json']).default('table'))
    .action((options: SimulateOptions) => simulate(context, options));
};

const addSuggest = (parent: Command, context: Context): void => {
  parent
    .command('suggest')
    .description('documents that allow what was observed of some workloads, and nothing else, as YAML for apply')
    .option('-l, --selector <selector>', 'of workloads, such as app=web,tier!=db')
    .option('-n, --namespace <name>', 'only of this namespace')
    .option('--since <time>', 'RFC 3339, or how long ago, such as 24h (default: all that is stored)')
    .option('--until <time>', 'RFC 3339, or how long ago (default: now)')
    .addOption(new Option('--min-flows <count>', 'leave out what was seen less often').argParser(positive))
    .option('--staged', 'documents that are judged and refuse nothing until they are applied without that mode')
    .addOption(new Option('--max-prefixes <count>', 'for the outside addresses of one port').argParser(positive))
    .addOption(new Option('-o, --output <format>').choices(['yaml', 'json']).default('yaml'))
    .action((options: SuggestOptions) => suggest(context, options));
};

const addHits = (parent: Command, context: Context): void => {
  parent
    .command('hits')
    .description('how often the rules in force decided, and when last')
    .option('-n, --namespace <name>', 'only of this namespace')
    .option('--policy <key>', 'only of this policy (kind/namespace/name)')
    .option('--unused-for <time>', 'only rules that did not decide for as long, such as 30d')
    .addOption(new Option('-o, --output <format>').choices([...FORMATS]).default('table'))
    .action((options: HitsOptions) => showHits(context, options));
};
