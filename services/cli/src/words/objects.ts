// SPDX-License-Identifier: Apache-2.0
/** The words of `weir network`, `service`, `lb`, `pools`, `reservations`, `prefilter`, `egress`, `workloads` and `health`. */
import { type Command, Option } from 'commander';
import { changeBackend, showBackends } from '../commands/backends.ts';
import { type GetOptions, get } from '../commands/get.ts';
import { type HealthOptions, health } from '../commands/health.ts';
import { getNetwork } from '../commands/network.ts';
import {
  BGP,
  L2,
  LB_POOLS,
  OBJECTS,
  type ObjectNoun,
  removeObjects,
  type SetOptions,
  setNetwork,
  setObject,
} from '../commands/objects.ts';
import { RESOURCES, type ResourceKind } from '../commands/resources.ts';
import { type StatsOptions, showStats } from '../commands/service-stats.ts';
import type { Context } from '../context.ts';
import { FORMATS, type Format } from '../output/table.ts';
import { positive } from './values.ts';

const format = (): Option => new Option('-o, --output <format>').choices([...FORMATS]).default('table');

const waiting = (command: Command): Command =>
  command
    .option('--wait', 'until every host that is alive holds it')
    .addOption(new Option('--timeout <seconds>', 'longest wait').argParser(positive).default(30));

const addObject = (program: Command, context: Context, noun: ObjectNoun): Command => {
  const parent = program.command(noun.command).description(noun.description);
  const resource = RESOURCES[noun.resource] as ResourceKind;
  parent
    .command('list', { isDefault: true })
    .description('list them')
    .addOption(format())
    .option('-w, --watch', 'go on with every row that is new, different or gone, until Ctrl-C')
    .action((options: GetOptions) => get(context, noun.resource, undefined, options));
  parent
    .command(`get <${noun.id}>`)
    .description('show one')
    .addOption(format())
    .action((id: string, options: GetOptions) => get(context, noun.resource, id, options));
  if (noun.fields !== undefined) {
    const fields = Object.keys(noun.fields).join(', ');
    const what = noun.method === 'PATCH' ? 'change one' : 'create or change one';
    waiting(parent.command(`set <${noun.id}> <field=value...>`))
      .description(`${what}; what is not named stays: ${fields}`)
      .action((id: string, words: string[], options: SetOptions) =>
        setObject(context, noun, resource.one(id), id, words, options),
      );
  }
  if (noun.isRemovable) {
    parent
      .command(`delete <${noun.id}...>`)
      .description('delete them')
      .action((ids: string[]) => removeObjects(context, noun, resource.one, ids));
  }
  return parent;
};

/** What is done to one backend, and the state that it gets. */
const BACKEND_VERBS = {
  drain: ['terminating', 'keeps its connections and gets no new ones while others are active; final'],
  maintain: ['maintenance', 'takes it out until it is activated'],
  activate: ['active', 'puts it back'],
} as const;

const addBackends = (service: Command, context: Context): void => {
  service
    .command('backends <id>')
    .description('its backends: state since when and why, health, weight')
    .addOption(format())
    .action((id: string, { output }: { output: Format }) => showBackends(context, id, output));
  service
    .command('stats [id]')
    .description('what clients asked of it, or of all, by frontend and backend: connections, packets, refusals')
    .addOption(format())
    .option('--host <host>', 'only what this host has counted')
    .option('--by-host', 'a row for each host')
    .action((id: string | undefined, options: StatsOptions) => showStats(context, id, options));
  for (const [verb, [state, description]] of Object.entries(BACKEND_VERBS)) {
    waiting(service.command(`${verb} <id> <backend>`))
      .description(`one backend (address:port, workload or number): ${description}`)
      .option('--reason <text>', 'told beside its state')
      .action((id: string, backend: string, { reason, ...options }: SetOptions & { reason?: string }) =>
        changeBackend(context, id, backend, { state, ...(reason === undefined ? {} : { reason }) }, options),
      );
  }
  waiting(service.command('weigh <id> <backend>'))
    .description('one backend: its weight, which Maglev goes by; 0 is maintenance')
    .addOption(new Option('--weight <number>', '0 to 65535').argParser(Number).makeOptionMandatory())
    .action((id: string, backend: string, { weight, ...options }: SetOptions & { weight: number }) =>
      changeBackend(context, id, backend, { weight }, options),
    );
};

const addLeases = (parent: Command, context: Context): void => {
  parent
    .command('leases')
    .description('which host answers for which service, since when')
    .addOption(format())
    .option('-w, --watch', 'go on with every row that is new, different or gone, until Ctrl-C')
    .action((options: GetOptions) => get(context, 'l2-leases', undefined, options));
};

const addSessions = (parent: Command, context: Context): void => {
  for (const [command, description] of [
    ['peers', 'sessions of the hosts with routers'],
    ['routes', 'what hosts tell routers'],
  ] as const) {
    parent
      .command(command)
      .description(description)
      .addOption(format())
      .option('-w, --watch', 'go on with every row that is new, different or gone, until Ctrl-C')
      .action((options: GetOptions) => get(context, `bgp-${command}`, undefined, options));
  }
};

const addNetwork = (program: Command, context: Context): void => {
  const network = program
    .command('network')
    .description('how hosts are joined: routing, tunnel, MTU, masquerade, VLANs, encryption, probes');
  network
    .command('get', { isDefault: true })
    .description('show it')
    .addOption(format())
    .action((options: { output: Format }) => getNetwork(context, options));
  waiting(network.command('set <field=value...>'))
    .description('change it; what is not named stays: routing=tunnel mtu=1400 masquerade.ipv4=true vlan_bypass=10,20')
    .action((words: string[], options: SetOptions) => setNetwork(context, words, options));
};

const addHealth = (program: Command, context: Context): void => {
  program
    .command('health')
    .description('how hosts reach one another, as a matrix; status 1 when a path is unreachable')
    .addOption(
      new Option('-o, --output <format>', 'wide: path by path')
        .choices(['table', 'wide', 'json', 'yaml'])
        .default('table'),
    )
    .option('--from <host>', 'only what this host probes')
    .option('--to <host>', 'only paths to this host')
    .option('-w, --watch', 'print it again when a status has changed, until Ctrl-C')
    .addOption(new Option('--every <seconds>', 'how often to look').argParser(positive).default(5))
    .action((options: HealthOptions) => health(context, options));
};

export const addObjects = (program: Command, context: Context): void => {
  addNetwork(program, context);
  for (const noun of OBJECTS) {
    const parent = addObject(program, context, noun);
    if (noun.resource === 'services') addBackends(parent, context);
    if (noun.resource === L2.resource) addLeases(parent, context);
    if (noun.resource === BGP.resource) addSessions(parent, context);
  }
  addObject(program.command('lb').description('what services get: pools of addresses'), context, LB_POOLS);
  addHealth(program, context);
};
