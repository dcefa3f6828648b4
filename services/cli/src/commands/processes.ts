// SPDX-License-Identifier: Apache-2.0
/** `weir processes observe|tree`: what processes of the fleet did, and who began whom. */
import { escapeUntrusted } from '@weir/net';
import type { Context } from '../context.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { timeForService } from '../observe/times.ts';
import { toJson } from '../output/safe.ts';
import { followEvents } from '../sse.ts';

export interface ProcessEvent {
  readonly time: string;
  readonly host: string;
  readonly kind: string;
  readonly exec_id: string;
  readonly pid: number;
  readonly uid: number | null;
  readonly binary: string;
  readonly arguments: string;
  readonly workload: { readonly namespace: string; readonly name: string } | null;
  readonly unit: { readonly kind: string; readonly name: string } | null;
  readonly exit: { readonly status: number; readonly signal: string | null } | null;
  readonly policy: string | null;
  readonly verdict: string | null;
}

interface TreeProcess extends ProcessEvent {
  readonly end: { readonly time: string; readonly status: number; readonly signal: string | null } | null;
}

interface Tree {
  readonly process: TreeProcess;
  readonly ancestors: readonly TreeProcess[];
  readonly siblings: readonly TreeProcess[];
  readonly children: readonly TreeProcess[];
}

export interface ObserveProcessesOptions {
  readonly output: 'compact' | 'json';
  readonly follow?: boolean;
  readonly last?: number;
  readonly since?: string;
  readonly until?: string;
  /** By the service's names of parameters. */
  readonly filters: Readonly<Record<string, readonly string[] | undefined>>;
}

const EVENTS = '/v1/processes/events';
const DEFAULT_LAST = 20;
/** They are turned round before they are shown, so all are held. */
const MOST = 100_000;
/** Of a container's id. */
const ID_SHOWN = 12;
const KIND_WIDTH = 4;

const COLORS: Readonly<Record<string, 'green' | 'red' | 'yellow'>> = { EXEC: 'green', EXIT: 'yellow', HOOK: 'red' };

/** The workload, or the unit, else nobody. */
const whose = ({ workload, unit }: ProcessEvent): string => {
  if (workload) return `${workload.namespace}/${workload.name}`;
  if (!unit) return '-';
  return unit.kind === 'container' ? unit.name.slice(0, ID_SHOWN) : unit.name;
};

const ending = ({ status, signal }: NonNullable<ProcessEvent['exit']>): string => signal ?? String(status);

/** Whatever a process calls itself, it drives no terminal. */
const line = (context: Context, event: ProcessEvent): string => {
  const color = event.verdict === 'DROPPED' ? 'red' : COLORS[event.kind];
  const kind = event.kind.toLowerCase().padEnd(KIND_WIDTH);
  const told = [
    ...(event.exit ? [ending(event.exit)] : []),
    ...(event.policy ? [`policy ${event.policy}`] : []),
    ...(event.verdict === 'DROPPED' ? ['refused'] : []),
  ];
  return [
    event.time,
    escapeUntrusted(event.host),
    color ? context.paint(color, kind) : kind,
    escapeUntrusted(whose(event)),
    String(event.pid),
    escapeUntrusted([event.binary, event.arguments].filter((text) => text !== '').join(' ')),
    ...told.map((text) => escapeUntrusted(text)),
  ].join(' ');
};

const write = (context: Context, event: ProcessEvent, output: ObserveProcessesOptions['output']): void =>
  context.out(output === 'json' ? toJson(event) : line(context, event));

export const observeProcesses = async (context: Context, options: ObserveProcessesOptions): Promise<void> => {
  const { output, follow, last, since, until, filters } = options;
  if (follow && until !== undefined) throw new CliFailure(EXIT.usage, 'error: --follow has no end; leave out --until');
  const query = new URLSearchParams();
  for (const [name, values] of Object.entries(filters)) for (const value of values ?? []) query.append(name, value);
  if (since !== undefined) query.set('since', timeForService('--since', since));
  if (until !== undefined) query.set('until', timeForService('--until', until));
  if (!follow) {
    const wanted = last ?? (since === undefined && until === undefined ? DEFAULT_LAST : MOST);
    const events = await context.client.list<ProcessEvent>('analytics', EVENTS, query, wanted);
    for (const event of events.reverse()) write(context, event, output);
    return;
  }
  if (last !== undefined) query.set('last', String(last));
  const events = followEvents(context.client, 'analytics', `${EVENTS}/stream`, query, context.signal);
  for await (const { event, data } of events) {
    if (event === 'process') write(context, JSON.parse(data) as ProcessEvent, output);
    else if (event === 'lost') {
      const { count, source } = JSON.parse(data) as { count: number; source: string };
      context.err(`lost: ${Number(count)} events (${escapeUntrusted(String(source))})`);
    }
  }
};

const branch = (context: Context, process: TreeProcess, depth: number, isAsked: boolean): string => {
  const command = escapeUntrusted([process.binary, process.arguments].filter((text) => text !== '').join(' '));
  const end = process.end ? ` (ended ${process.end.time}: ${escapeUntrusted(ending(process.end))})` : '';
  const shown = `${process.pid} ${command}${end}  ${process.exec_id}`;
  return `${'  '.repeat(depth)}${isAsked ? context.paint('green', `* ${shown}`) : `  ${shown}`}`;
};

export const processTree = async (context: Context, execId: string, output: 'tree' | 'json'): Promise<void> => {
  const query = new URLSearchParams({ exec_id: execId });
  const tree = await context.client.json<Tree>('analytics', '/v1/processes/tree', { query });
  if (output === 'json') return context.out(toJson(tree, 2));
  const above = [...tree.ancestors].reverse();
  const whom = `${escapeUntrusted(tree.process.host)} ${escapeUntrusted(whose(tree.process))} uid ${tree.process.uid ?? '-'}`;
  context.out(whom);
  for (const [depth, one] of above.entries()) context.out(branch(context, one, depth, false));
  const beside = [...tree.siblings, tree.process].sort((a, b) => (a.time < b.time ? -1 : 1));
  for (const one of beside) {
    context.out(branch(context, one, above.length, one === tree.process));
    if (one !== tree.process) continue;
    for (const child of tree.children) context.out(branch(context, child, above.length + 1, false));
  }
};
