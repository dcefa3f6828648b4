// SPDX-License-Identifier: Apache-2.0
/**
 * `weir observe`: flows of the fleet, from the service or from a file. What the service can filter it filters; the rest is
 * sifted here, so that a filter means the same wherever flows come from.
 */
import { readFileSync } from 'node:fs';
import { escapeUntrusted } from '@weir/net';
import type { Context } from '../context.ts';
import { CliFailure, EXIT, Refused, renderProblem } from '../failure.ts';
import type { FilterBuilder } from '../observe/builder.ts';
import { type Filters, usage } from '../observe/filter.ts';
import { flowTest } from '../observe/match.ts';
import { serviceFilter } from '../observe/params.ts';
import { parseTimeMs, type TimeFormat, timeForService } from '../observe/times.ts';
import { fieldMask } from '../output/field-mask.ts';
import type { Flow } from '../output/flow.ts';
import { flowWriter, type ObserveFormat, type WriteFlows } from '../output/flow-lines.ts';
import { toYaml } from '../output/safe.ts';
import { createPaint } from '../output/table.ts';
import { followEvents } from '../sse.ts';

export interface ObserveOptions {
  readonly output: ObserveFormat;
  readonly follow?: boolean;
  readonly last?: number;
  readonly first?: number;
  readonly all?: boolean;
  readonly since?: string;
  readonly until?: string;
  readonly inputFile?: string;
  readonly printRawFilters?: boolean;
  readonly timeFormat: TimeFormat;
  readonly printNodeName: boolean;
  readonly ipTranslation: boolean;
  readonly numeric?: boolean;
  readonly printPolicyNames: boolean;
  readonly fieldMask?: readonly string[];
  readonly silentErrors?: boolean;
  readonly color: 'auto' | 'always' | 'never';
  readonly filters: FilterBuilder;
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

const check = (options: ObserveOptions): void => {
  const given = (['all', 'first', 'last'] as const).filter((name) => options[name] !== undefined);
  if (given.length > 1) throw usage(`--${given.join(' and --')} exclude each other`);
  if (options.fieldMask !== undefined && !['json', 'jsonpb'].includes(options.output)) {
    throw usage('--field-mask is of json; add -o json');
  }
  if (!options.follow) return;
  if (options.until !== undefined) throw usage('--follow has no end; leave out --until');
  if (options.first !== undefined) throw usage('--first is of what there was; leave out --follow');
  if (options.inputFile !== undefined) throw usage('--input-file has an end; leave out --follow');
};

/** How many of the newest are wanted. */
const wantedOf = ({ all, first, last, since, until, inputFile }: ObserveOptions): number => {
  if (last !== undefined) return last;
  const hasRange = all || first !== undefined || since !== undefined || until !== undefined || inputFile !== undefined;
  return hasRange ? MOST : DEFAULT_LAST;
};

type Test = (flow: Flow) => boolean;

const fromService = async (context: Context, options: ObserveOptions, query: URLSearchParams, sift?: Test) => {
  const wanted = wantedOf(options);
  if (sift === undefined) return context.client.list<Flow>('analytics', '/v1/flows', query, wanted);
  const found: Flow[] = [];
  for await (const flow of context.client.each<Flow>('analytics', '/v1/flows', query)) {
    if (sift(flow)) found.push(flow);
    if (found.length >= wanted) break;
  }
  return found;
};

const flowOf = (line: string, number: number): Flow => {
  try {
    const flow = JSON.parse(line) as Flow;
    if (typeof flow.time === 'string' && flow.source?.ip && flow.destination?.ip && typeof flow.verdict === 'string') {
      return flow;
    }
  } catch {
    // told below
  }
  throw new CliFailure(EXIT.failed, `error: line ${number} is no flow\n  fix: give what observe -o json has printed`);
};

const readInput = async (context: Context, path: string): Promise<string> => {
  if (path === '-') return context.readStdin();
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CliFailure(EXIT.failed, `error: ${path} can't be read: ${(error as Error).message}`);
  }
};

/** Newest first, as the service answers. */
const fromFile = async (context: Context, options: ObserveOptions, filters: Filters): Promise<Flow[]> => {
  const text = await readInput(context, options.inputFile as string);
  const sinceMs = options.since === undefined ? Number.NEGATIVE_INFINITY : parseTimeMs('--since', options.since);
  const untilMs = options.until === undefined ? Number.POSITIVE_INFINITY : parseTimeMs('--until', options.until);
  const fits = flowTest(filters);
  const flows = text
    .split('\n')
    .flatMap((line, at) => (line.trim() === '' ? [] : [flowOf(line, at + 1)]))
    .filter((flow) => {
      const timeMs = Date.parse(flow.time);
      return timeMs >= sinceMs && timeMs < untilMs && fits(flow);
    })
    .sort((a, b) => Date.parse(b.time) - Date.parse(a.time));
  return flows.slice(0, wantedOf(options));
};

const follow = async (context: Context, query: URLSearchParams, write: WriteFlows, sift: Test): Promise<void> => {
  const events = followEvents(context.client, 'analytics', '/v1/flows/stream', query, context.signal);
  for await (const { event, data } of events) {
    if (event === 'flow') {
      const flow = JSON.parse(data) as Flow;
      if (sift(flow)) write([flow]);
    } else if (event === 'lost') {
      const { count, source } = JSON.parse(data) as { count: number; source: string };
      context.err(`lost: ${Number(count)} flows (${escapeUntrusted(String(source))})`);
    }
  }
};

const writerOf = (context: Context, options: ObserveOptions): WriteFlows => {
  const {
    color,
    timeFormat,
    ipTranslation,
    numeric = false,
    printNodeName,
    printPolicyNames,
    fieldMask: paths,
  } = options;
  const paint = color === 'auto' ? context.paint : createPaint(color === 'always');
  const style = { time: timeFormat, names: ipTranslation, numeric, host: printNodeName, policies: printPolicyNames };
  const mask = paths === undefined ? undefined : fieldMask(paths);
  return flowWriter({ out: context.out, paint }, options.output, style, options.follow === true, mask);
};

const show = (flows: Flow[], { first }: ObserveOptions, write: WriteFlows): void => {
  const oldestFirst = flows.reverse();
  write(first === undefined ? oldestFirst : oldestFirst.slice(0, first));
};

/** `--silent-errors`: whoever reads the flows sees nothing else; the exit status still tells. */
export const observe = async (context: Context, options: ObserveOptions): Promise<void> => {
  if (!options.silentErrors) return observeFlows(context, options);
  try {
    await observeFlows({ ...context, err: () => {} }, options);
  } catch (error) {
    if (!(error instanceof CliFailure)) throw error;
    context.setExitCode(error.exitCode);
  }
};

const observeFlows = async (context: Context, options: ObserveOptions): Promise<void> => {
  check(options);
  const filters = options.filters.build();
  if (options.printRawFilters) {
    const lists = [
      ['allowlist', filters.allow],
      ['denylist', filters.deny],
    ] as const;
    context.out(toYaml(Object.fromEntries(lists.filter(([, list]) => list.length > 0))));
    return;
  }
  const write = writerOf(context, options);
  if (options.inputFile !== undefined) return show(await fromFile(context, options, filters), options, write);
  const { query, isExact } = serviceFilter(options.filters, filters.deny.length > 0);
  const sift = isExact ? undefined : flowTest(filters);
  if (options.since !== undefined) query.set('since', timeForService('--since', options.since));
  if (options.until !== undefined) query.set('until', timeForService('--until', options.until));
  try {
    if (options.follow) {
      // The stream itself begins with the past that is asked for, so nothing falls between past and live.
      if (options.last !== undefined) query.set('last', String(options.last));
      await follow(context, query, write, sift ?? (() => true));
      return;
    }
    const flows = await fromService(context, options, query, sift);
    if (options.last === undefined && flows.length >= MOST) {
      context.err(`these are the newest ${MOST}; a narrower --since, --until or filter shows all`);
    }
    show(flows, options, write);
  } catch (error) {
    throw asFlags(error);
  }
};
