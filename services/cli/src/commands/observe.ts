// SPDX-License-Identifier: Apache-2.0
/**
 * `weir observe`: flows of the fleet. Filters are the API's; each may be given several times (any of them), and
 * different ones must all hold. `--x` matches either end, `--from-x` the source, `--to-x` the destination.
 */
import { escapeUntrusted } from '@weir/net';
import type { Context } from '../context.ts';
import { CliFailure, EXIT, Refused, renderProblem } from '../failure.ts';
import { compactFlow, FLOW_COLUMNS, type Flow } from '../output/flow.ts';
import { toJson } from '../output/safe.ts';
import { render, renderTable } from '../output/table.ts';
import { followEvents } from '../sse.ts';

/** jsonpb is what other tools call json, one object a line. */
export const OBSERVE_FORMATS = ['compact', 'json', 'jsonpb', 'table', 'wide'] as const;

/** Filters that exist for either end, the source and the destination. */
export const END_FILTERS = ['ip', 'workload', 'namespace', 'label', 'identity', 'port'] as const;
/** Filters of the flow itself. */
export const FLOW_FILTERS: Readonly<Record<string, string>> = {
  verdict: 'FORWARDED, DROPPED ...',
  protocol: 'TCP, UDP, SCTP, ICMP, ICMPv6 or a number',
  direction: 'of the connection at the workload: INGRESS, EGRESS',
  host: 'where it was seen',
  'drop-reason': 'code, name or text, such as POLICY_DENIED',
  'rule-id': 'number of the rule that decided',
  'is-reply': 'true or false',
};

export interface ObserveOptions {
  readonly output: (typeof OBSERVE_FORMATS)[number];
  readonly follow?: boolean;
  readonly last?: number;
  readonly since?: string;
  readonly until?: string;
  readonly filters: URLSearchParams;
}

const DEFAULT_LAST = 20;
/** They are turned round before they are shown, so all are held; what needs more is a job for the API. */
const MOST = 100_000;

/** The API speaks of from_ip, the reader wrote --from-ip. */
const asFlags = (error: unknown): unknown => {
  if (!(error instanceof Refused) || error.problem.status !== 422) return error;
  const flag = (path: string): string => {
    const name = path.replace(/^query[./]/, '').replace(/[[.].*$/, '');
    return /^[a-z_]+$/.test(name) ? `--${name.replaceAll('_', '-')}` : path;
  };
  const { errors, field } = error.problem;
  const problem = {
    ...error.problem,
    ...(field === undefined ? {} : { field: flag(field) }),
    ...(errors === undefined ? {} : { errors: errors.map((issue) => ({ ...issue, path: flag(issue.path) })) }),
  };
  return new CliFailure(EXIT.usage, renderProblem(problem));
};

const follow = async (
  context: Context,
  query: URLSearchParams,
  write: (flows: readonly Flow[]) => void,
): Promise<void> => {
  const events = followEvents(context.client, 'analytics', '/v1/flows/stream', query, context.signal);
  for await (const { event, data } of events) {
    if (event === 'flow') write([JSON.parse(data) as Flow]);
    else if (event === 'lost') {
      const { count, source } = JSON.parse(data) as { count: number; source: string };
      context.err(`lost: ${Number(count)} flows (${escapeUntrusted(String(source))})`);
    }
  }
};

export const observe = async (context: Context, options: ObserveOptions): Promise<void> => {
  if (options.follow && options.until)
    throw new CliFailure(EXIT.usage, 'error: --follow has no end; leave out --until');
  const write = writer(context, options);
  const query = new URLSearchParams(options.filters);
  if (options.since) query.set('since', options.since);
  if (options.until) query.set('until', options.until);
  try {
    if (options.follow) {
      // The stream itself begins with the past that is asked for, so nothing falls between past and live.
      if (options.last !== undefined) query.set('last', String(options.last));
      await follow(context, query, write);
      return;
    }
    const most = options.last ?? (options.since === undefined ? DEFAULT_LAST : MOST);
    const flows = await context.client.list<Flow>('analytics', '/v1/flows', query, most);
    write(flows.reverse());
    if (options.last === undefined && flows.length >= MOST) {
      context.err(`these are the newest ${MOST}; a narrower --since, --until or filter shows all`);
    }
  } catch (error) {
    throw asFlags(error);
  }
};

const writer = (context: Context, options: ObserveOptions): ((flows: readonly Flow[]) => void) => {
  const { output } = options;
  switch (output) {
    case 'json':
    case 'jsonpb':
      return (flows) => {
        for (const flow of flows) context.out(toJson(flow));
      };
    case 'table':
    case 'wide':
      return followingTable(context, output, options.follow === true);
    case 'compact':
      return (flows) => {
        for (const flow of flows) context.out(compactFlow(flow, context.paint));
      };
  }
};

/** While following, widths cannot wait for the last flow: the heading comes once and columns only grow. */
const followingTable = (context: Context, output: 'table' | 'wide', following: boolean) => {
  if (!following) return (flows: readonly Flow[]) => context.out(render(output, FLOW_COLUMNS, flows, false));
  const columns = FLOW_COLUMNS.filter((column) => output === 'wide' || !column.wide);
  const widths: number[] = [];
  let headed = false;
  return (flows: readonly Flow[]) => {
    const lines = renderTable(columns, flows, widths).split('\n');
    for (const line of headed ? lines.slice(1) : lines) context.out(line);
    headed = true;
  };
};
