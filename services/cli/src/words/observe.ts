// SPDX-License-Identifier: Apache-2.0
/** The words of `weir observe`: Hubble's where flows of the datapath have what they name. */
import { Argument, type Command, Option } from 'commander';
import { type ObserveOptions, observe } from '../commands/observe.ts';
import type { Context } from '../context.ts';
import { FilterBuilder } from '../observe/builder.ts';
import { TIME_FORMATS } from '../observe/times.ts';
import { OBSERVE_FORMATS } from '../output/flow-lines.ts';
import { list, positive } from './values.ts';

/** Flags that exist for either end, the source and the destination. */
const END_FLAGS: Readonly<Record<string, string>> = {
  ip: 'address or CIDR',
  pod: 'workload whose name begins so: [namespace/]name',
  workload: 'workload: name or namespace/name',
  namespace: 'namespace',
  label: 'label selector: app=web, "tier in (a,b)"',
  identity: 'identity: number or reserved name',
  port: 'port',
  service: 'service that was asked for, whose name begins so: [namespace/]name',
};
/** Flags of the flow itself. */
const FLOW_FLAGS: Readonly<Record<string, string>> = {
  verdict: 'FORWARDED, DROPPED, AUDIT ...',
  protocol: 'TCP, UDP, SCTP, ICMP, ICMPv6 or a number',
  'traffic-direction': 'of the connection at the workload: ingress, egress',
  direction: 'the same',
  'node-name': 'where it was seen; * stands for any characters',
  host: 'where it was seen',
  'drop-reason-desc': 'code, name or text, such as POLICY_DENIED',
  'drop-reason': 'the same',
  'rule-id': 'number of the rule that decided',
  pending: 'what staged policies would do: FORWARDED, DROPPED',
  'pending-rule-id': 'number of the rule that would decide then',
  'snat-ip': 'address or CIDR that the source becomes where packets leave the host',
  'exec-id': 'process whose the socket is: its exec id',
  process: 'the same by its binary: /usr/bin/curl, /opt/*, curl',
  unit: "the same by its container's id, or its unit's or machine's name",
  uid: 'the same by its effective user: number',
  'is-reply': 'true or false',
  'tcp-flags': 'all of these: SYN,ACK',
  type: 'drop, trace or policy-verdict; drop:133, trace:to-endpoint',
  'ip-version': '4 or 6',
  uuid: 'this one: host:boot:seq, as -o json has them',
};
/** Letters that are worth their confusion: those that kubectl and hubble have. */
const SHORT: Readonly<Record<string, string>> = { namespace: '-n, ', label: '-l, ', type: '-t, ' };
const EITHER = new Set(['is-reply']);

const addFilters = (command: Command, builder: FilterBuilder): void => {
  const valued = (flag: string, help: string): void => {
    const option = new Option(`${SHORT[flag] ?? ''}--${flag} <value>`, help);
    if (EITHER.has(flag)) option.choices(['true', 'false']);
    command.addOption(option);
    // In the order of the words, because --not is about the next one.
    command.on(`option:${flag}`, (value: string) => builder.add(flag, value));
  };
  const bare = (flags: string, help: string, flag: string, value: string): void => {
    const option = new Option(flags, help);
    command.addOption(option);
    command.on(`option:${option.name()}`, () => builder.add(flag, value));
  };
  for (const [flag, help] of Object.entries(END_FLAGS)) {
    valued(flag, `${help}; of either end`);
    valued(`from-${flag}`, `${flag} of the source`);
    valued(`to-${flag}`, `${flag} of the destination`);
  }
  for (const [flag, help] of Object.entries(FLOW_FLAGS)) valued(flag, help);
  bare('-4, --ipv4', 'only IPv4', 'ip-version', '4');
  bare('-6, --ipv6', 'only IPv6', 'ip-version', '6');
  bare('--encrypted', 'only what went encrypted between hosts', 'encrypted', 'true');
  bare('--unencrypted', 'only what did not', 'encrypted', 'false');
  bare('-A, --all-namespaces', 'only of a workload, in any namespace', 'all-namespaces', '');
  bare('--from-all-namespaces', 'only from a workload', 'from-all-namespaces', '');
  bare('--to-all-namespaces', 'only to a workload', 'to-all-namespaces', '');
  command.option('--not', 'what the next flag says must not hold');
  command.on('option:not', () => builder.not());
  for (const list of ['allow', 'deny'] as const) {
    command.option(
      `--${list}list <filter>`,
      `${list === 'allow' ? 'show' : 'leave out'} what fits a filter given as JSON`,
    );
    command.on(`option:${list}list`, (text: string) => builder.addRaw(list, text));
  }
};

export const addObserve = (parent: Command, context: Context, name: string): void => {
  const filters = new FilterBuilder();
  const command = parent
    .command(name)
    .description('flows of the fleet, oldest first')
    .addOption(
      new Option('-o, --output <format>').choices([...OBSERVE_FORMATS]).default(name === 'flows' ? 'table' : 'compact'),
    )
    .option('-f, --follow', 'go on with live flows until Ctrl-C')
    .addOption(new Option('--last <n>', 'the newest n (20)').argParser(positive))
    .addOption(new Option('--first <n>', 'the oldest n').argParser(positive))
    .option('--all', 'all that there are')
    .option('--since <time>', 'from then on: how long ago (30s, 5m, 2h) or a time')
    .option('--until <time>', 'up to then')
    .option('--input-file <path>', 'flows that -o json has printed, instead of those of the fleet; - is standard input')
    .option('--print-raw-filters', 'print the filters as the API has them, and end')
    .addOption(new Option('--time-format <name>').choices([...TIME_FORMATS]).default('StampMilli'))
    .addOption(new Option('--print-node-name', 'say where a flow was seen').default(true))
    .option('--no-print-node-name', 'do not')
    .addOption(new Option('--print-policy-names', 'say by which rule of which policy').default(true))
    .option('--no-print-policy-names', 'do not')
    .addOption(
      new Option('--field-mask <fields>', 'of -o json only these fields: time,verdict,source.workload').argParser(list),
    )
    .option('-s, --silent-errors', 'print flows, but no errors and warnings; the exit status stays')
    .option('--no-ip-translation', 'addresses instead of names of workloads')
    .option('--numeric', 'numbers instead of names')
    .addOption(new Option('--color <when>').choices(['auto', 'always', 'never']).default('auto'));
  if (name === 'observe')
    command.addArgument(new Argument('[what]', 'what to observe').choices(['flows']).default('flows'));
  addFilters(command, filters);
  command.action((...args: unknown[]) => {
    const options = args.at(-2) as ObserveOptions;
    return observe(context, { ...options, filters });
  });
};
