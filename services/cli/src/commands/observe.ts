// SPDX-License-Identifier: Apache-2.0
/**
 * `weir observe`: flows of the fleet. Filters are the API's; each may be given several times (any of them), and
 * different ones must all hold. `--x` matches either end, `--from-x` the source, `--to-x` the destination.
 */
import type { Context } from '../context.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { compactFlow, FLOW_COLUMNS, type Flow } from '../output/flow.ts';
import { render, renderTable } from '../output/table.ts';
import { followEvents } from '../sse.ts';

export const OBSERVE_FORMATS = ['compact', 'json', 'table'] as const;

/** Filters that exist for either end, the source and the destination. */
export const END_FILTERS = ['ip', 'workload', 'namespace', 'label', 'identity', 'port'] as const;
/** Filters of the flow itself. */
export const FLOW_FILTERS = ['verdict', 'protocol', 'direction', 'host', 'drop-reason', 'rule-id', 'is-reply'] as const;

export interface ObserveOptions {
  readonly output: (typeof OBSERVE_FORMATS)[number];
  readonly follow?: boolean;
  readonly last?: number;
  readonly since?: string;
  readonly until?: string;
  readonly filters: URLSearchParams;
}

const DEFAULT_LAST = 20;

export const observe = async (context: Context, options: ObserveOptions): Promise<void> => {
  if (options.follow && options.until)
    throw new CliFailure(EXIT.usage, 'error: --follow has no end; leave out --until');
  const write = writer(context, options);
  const query = new URLSearchParams(options.filters);
  if (options.since) query.set('since', options.since);
  if (options.until) query.set('until', options.until);
  if (!options.follow) {
    const most = options.last ?? (options.since === undefined ? DEFAULT_LAST : Number.POSITIVE_INFINITY);
    write((await context.client.list<Flow>('analytics', '/v1/flows', query, most)).reverse());
    return;
  }
  // The stream itself begins with the past that is asked for, so nothing falls between past and live.
  if (options.last !== undefined) query.set('last', String(options.last));
  for await (const { event, data } of followEvents(
    context.client,
    'analytics',
    '/v1/flows/stream',
    query,
    context.signal,
  )) {
    if (event === 'flow') write([JSON.parse(data) as Flow]);
    else if (event === 'lost') context.err(`lost: ${data}`);
  }
};

const writer = (context: Context, options: ObserveOptions): ((flows: readonly Flow[]) => void) => {
  switch (options.output) {
    case 'json':
      return (flows) => {
        for (const flow of flows) context.out(JSON.stringify(flow));
      };
    case 'table':
      if (options.follow) {
        return (flows) => {
          if (flows.length)
            context.out(
              renderTable(
                FLOW_COLUMNS.filter((c) => !c.wide),
                flows,
              ),
            );
        };
      }
      return (flows) => context.out(render('table', FLOW_COLUMNS, flows, false));
    case 'compact':
      return (flows) => {
        for (const flow of flows) context.out(compactFlow(flow, context.paint));
      };
  }
};
