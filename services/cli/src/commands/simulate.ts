// SPDX-License-Identifier: Apache-2.0
/**
 * `weir simulate`: what documents would change for traffic that was recorded. The service judges; its answer comes line by
 * line.
 */
import { escapeUntrusted } from '@weir/net';
import type { Context } from '../context.ts';
import { type Documents, readDocuments } from '../documents.ts';
import { CliFailure, EXIT, Refused, renderProblem } from '../failure.ts';
import { toJson } from '../output/safe.ts';
import { type Column, renderTable } from '../output/table.ts';
import { readLines } from './lines.ts';
import { bodyOf, split } from './policies.ts';

export const FAIL_ON = ['newly-denied', 'newly-allowed', 'disagrees', 'not-judged'] as const;
export type FailOn = (typeof FAIL_ON)[number];

export interface SimulateOptions {
  readonly filename?: readonly string[];
  readonly remove?: readonly string[];
  readonly since?: string;
  readonly until?: string;
  readonly limit?: number;
  readonly staged?: boolean;
  readonly failOn?: readonly FailOn[];
  readonly output: 'table' | 'wide' | 'json';
}

export interface Total {
  readonly flows: number;
  readonly packets: number;
  readonly bytes: number;
}

interface Party {
  readonly identity: number;
  readonly labels: readonly string[];
  readonly workloads: readonly string[];
  readonly workload_count: number;
  readonly prefix?: string;
  readonly addresses?: readonly string[];
}

interface Judged {
  readonly verdict: 'allow' | 'deny';
  readonly reason: string;
  readonly rule: { policy: string; path: string; file: string | null; line: number | null } | null;
}

export interface SimulatedChange extends Total {
  readonly class: FailOn;
  readonly direction: string;
  readonly subject: Party;
  readonly peer: Party;
  readonly protocol: string;
  readonly port: number;
  readonly icmp_type?: number;
  readonly last_seen: string;
  readonly before: Judged;
  readonly after: Judged;
  readonly disagrees: number;
}

export interface SimulationSummary {
  readonly since: string;
  readonly until: string;
  readonly stored_since: string | null;
  readonly newly_denied: Total;
  readonly newly_allowed: Total;
  readonly unchanged: Total;
  readonly disagrees: Total;
  readonly not_judged: Readonly<Record<string, Total>>;
  readonly lost: number;
  readonly omitted: number;
  readonly documents: readonly { readonly key: string; readonly action: string; readonly mode: string }[];
}

const NOT_JUDGED: Readonly<Record<string, string>> = {
  unknown_labels: 'an end whose labels are not known',
  no_workload: 'seen at no workload',
  related: 'let through for the connection they are about',
  dropped_otherwise: 'dropped for a reason that is not policy',
  no_verdict: 'no verdict of a policy',
};

const partyText = ({ workloads, workload_count: count, prefix, addresses, labels, identity }: Party): string => {
  if (workloads.length > 0) return `${workloads.slice(0, 2).join(',')}${count > 2 ? ` +${count - 2}` : ''}`;
  if (addresses?.length) return `${addresses[0]}${addresses.length > 1 ? ',...' : ''}${prefix ? ` (${prefix})` : ''}`;
  return labels.length > 0 ? labels.join(',') : `identity ${identity}`;
};

const portText = ({ protocol, port, icmp_type: type }: SimulatedChange): string =>
  type === undefined ? `${protocol}/${port}` : `${protocol} type ${type}`;

/** The rule in its file, when that is known. */
const judgedText = ({ reason, rule }: Judged): string => {
  if (rule === null) return reason;
  const place = rule.line === null ? '' : rule.file === null ? ` line ${rule.line}` : ` ${rule.file}:${rule.line}`;
  return `${rule.policy} ${rule.path}${place}`;
};

const COLUMNS: readonly Column<SimulatedChange>[] = [
  { title: 'CHANGE', cell: (change) => change.class },
  { title: 'AT', cell: (change) => partyText(change.subject) },
  { title: 'DIRECTION', cell: (change) => change.direction },
  { title: 'PEER', cell: (change) => partyText(change.peer) },
  { title: 'PORT', cell: portText },
  { title: 'FLOWS', cell: (change) => change.flows },
  { title: 'BYTES', cell: (change) => change.bytes },
  { title: 'LAST SEEN', cell: (change) => change.last_seen },
  { title: 'BY', cell: (change) => judgedText(change.after) },
  { title: 'BEFORE', cell: (change) => judgedText(change.before), wide: true },
];

const sum = (totals: Readonly<Record<string, Total>>): number =>
  Object.values(totals).reduce((all, { flows }) => all + flows, 0);

const sayWhole = (summary: SimulationSummary): string[] => {
  const {
    newly_denied: denied,
    newly_allowed: allowed,
    unchanged,
    disagrees,
    not_judged: not,
    lost,
    omitted,
  } = summary;
  const judged = denied.flows + allowed.flows + unchanged.flows;
  const reasons = Object.entries(not).filter(([, { flows }]) => flows > 0);
  return [
    `${judged} flows judged from ${summary.since} to ${summary.until}: ${denied.flows} newly denied, ${allowed.flows} newly allowed, ${unchanged.flows} unchanged`,
    ...(reasons.length === 0
      ? []
      : [
          `${sum(not)} flows not judged: ${reasons.map(([why, { flows }]) => `${flows} ${NOT_JUDGED[why] ?? why}`).join(', ')}`,
        ]),
    ...(disagrees.flows === 0
      ? []
      : [`${disagrees.flows} flows were recorded with another verdict than what is in force today gives`]),
    ...(lost === 0 ? [] : [`${lost} events of that time were lost on hosts; nothing can be said of them`]),
    ...(omitted === 0 ? [] : [`${omitted} more changes are counted and not shown; --limit shows more`]),
  ];
};

const request = async (context: Context, options: SimulateOptions, documents: Documents | undefined) => {
  const query = new URLSearchParams();
  for (const name of ['since', 'until', 'limit', 'staged'] as const) {
    if (options[name] !== undefined) query.set(name, String(options[name]));
  }
  if (options.remove?.length) query.set('remove', options.remove.join(','));
  const body = documents ? bodyOf(documents) : { type: 'application/yaml', text: '# nothing\n' };
  try {
    return await context.client.send('policy', '/v1/policies/simulate', {
      ...{ method: 'POST', query, body, timeoutMs: 0, signal: context.signal },
    });
  } catch (error) {
    if (error instanceof Refused) throw new CliFailure(EXIT.failed, renderProblem(error.problem, documents?.locate));
    throw error;
  }
};

const flowsOf = (summary: SimulationSummary, what: FailOn): number => {
  switch (what) {
    case 'newly-denied':
      return summary.newly_denied.flows;
    case 'newly-allowed':
      return summary.newly_allowed.flows;
    case 'disagrees':
      return summary.disagrees.flows;
    case 'not-judged':
      return summary.not_judged.unknown_labels?.flows ?? 0;
  }
};

export const simulate = async (context: Context, options: SimulateOptions): Promise<void> => {
  const files = options.filename ?? [];
  if (files.length === 0 && !options.remove?.length) {
    throw new CliFailure(EXIT.usage, 'error: name files (-f), or policies to take away (--remove)');
  }
  const whole = files.length === 0 ? undefined : await readDocuments(files, context.readStdin);
  const policies = whole && (await split(context, whole)).policies;
  const response = await request(context, options, policies);
  const { items: changes, summary } = await readLines<SimulatedChange, SimulationSummary>(response, 'change');
  if (options.output === 'json') context.out(toJson({ changes, summary }, 2));
  else {
    const columns = COLUMNS.filter(({ wide }) => options.output === 'wide' || !wide);
    if (changes.length > 0) context.out(`${renderTable(columns, changes)}\n`);
    for (const line of sayWhole(summary)) context.out(escapeUntrusted(line));
    const waiting = options.staged ? [] : summary.documents.filter(({ mode }) => mode === 'staged');
    for (const { key } of waiting) {
      context.out(`${escapeUntrusted(key)} is staged and changes nothing yet; --staged judges as if it were in place`);
    }
  }
  if (options.failOn?.some((what) => flowsOf(summary, what) > 0)) context.setExitCode(EXIT.failed);
};

/** Hosts report who talks every few seconds. */
const CUTS_SINCE = '1m';
const CUTS_SHOWN = 20;

/**
 * What an apply would cut: traffic of the last minute that is let through now and that the documents would refuse. What was silent for longer is
 * not among it. Knowing that is no condition of the answer to a dry run.
 */
export const sayCuts = async (context: Context, documents: Documents): Promise<void> => {
  try {
    const options = { since: CUTS_SINCE, limit: CUTS_SHOWN, output: 'table' } as const;
    const { items, summary } = await readLines<SimulatedChange, SimulationSummary>(
      await request(context, options, documents),
      'change',
    );
    const cuts = items.filter((change) => change.class === 'newly-denied');
    if (summary.newly_denied.flows === 0) {
      context.out('nothing that was seen in the last minute would be cut');
      return;
    }
    context.out('seen in the last minute, and would be cut (--established drain lets it go on until it ends):');
    const shown: readonly string[] = ['AT', 'DIRECTION', 'PEER', 'PORT', 'FLOWS', 'LAST SEEN', 'BY'];
    context.out(
      renderTable(
        COLUMNS.filter(({ title }) => shown.includes(title)),
        cuts,
      ),
    );
    if (summary.omitted > 0) {
      context.out(`${summary.newly_denied.flows} flows in all; weir simulate --since ${CUTS_SINCE} shows more`);
    }
  } catch (error) {
    if (!(error instanceof CliFailure)) throw error;
    context.err(`what would be cut is not known: ${error.message}`);
  }
};
