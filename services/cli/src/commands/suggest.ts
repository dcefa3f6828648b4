// SPDX-License-Identifier: Apache-2.0
/** `weir suggest`: documents that allow what was observed. They go to standard output, what is said of them to standard error. */
import { escapeUntrusted } from '@weir/net';
import type { Context } from '../context.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { toJson } from '../output/safe.ts';
import { readLines } from './lines.ts';
import type { Total } from './simulate.ts';

export interface SuggestOptions {
  readonly selector?: string;
  readonly namespace?: string;
  readonly since?: string;
  readonly until?: string;
  readonly minFlows?: number;
  readonly maxPrefixes?: number;
  readonly staged?: boolean;
  readonly output: 'yaml' | 'json';
}

interface SuggestedDocument {
  readonly key: string;
  readonly text: string;
  readonly workloads: readonly string[];
  readonly workload_count: number;
  readonly observed: Total;
  readonly covered: Total;
}

interface SuggestSummary {
  readonly since: string;
  readonly until: string;
  readonly observed: Total;
  readonly covered: Total;
  readonly left_out: Readonly<Record<string, Total>>;
  readonly lost: number;
}

const LEFT_OUT: Readonly<Record<string, string>> = {
  refused_then: 'refused when they were seen',
  not_judged: 'not judged by policy',
  not_expressible: 'of what a document cannot say',
  too_seldom: 'seen less often than --min-flows',
};

/** Never 100 % when something is missing. */
const share = ({ flows: part }: Total, { flows: whole }: Total): string =>
  whole === 0 ? 'nothing was observed' : `${Math.floor((part / whole) * 10_000) / 100} %`;

const sayWhole = ({ since, until, observed, covered, left_out: out, lost }: SuggestSummary): string[] => [
  `${observed.flows} flows observed from ${since} to ${until}, ${covered.flows} of them allowed: ${share(covered, observed)}`,
  ...Object.entries(out)
    .filter(([, { flows }]) => flows > 0)
    .map(([why, { flows }]) => `left out: ${flows} ${LEFT_OUT[why] ?? why}`),
  ...(lost === 0 ? [] : [`${lost} events of that time were lost on hosts; nothing can be said of them`]),
];

/** As comments: they survive in the file that it becomes. */
const headOf = ({ workloads, workload_count: count, covered, observed }: SuggestedDocument): string =>
  `# Of ${count} workloads (${workloads
    .slice(0, 3)
    .map((name) => escapeUntrusted(name))
    .join(', ')}${count > 3 ? ', ...' : ''}); allows ${covered.flows} of ${observed.flows} flows.\n`;

export const suggest = async (context: Context, options: SuggestOptions): Promise<void> => {
  if (options.selector === undefined && options.namespace === undefined) {
    throw new CliFailure(EXIT.usage, 'error: choose workloads by -l app=web, by -n namespace, or both');
  }
  const query = new URLSearchParams();
  for (const [name, value] of [
    ['selector', options.selector],
    ['namespace', options.namespace],
    ['since', options.since],
    ['until', options.until],
    ['min_flows', options.minFlows],
    ['max_prefixes', options.maxPrefixes],
    ['staged', options.staged],
  ] as const) {
    if (value !== undefined) query.set(name, String(value));
  }
  const response = await context.client.send('policy', '/v1/policies/suggest', {
    ...{ query, timeoutMs: 0, signal: context.signal },
  });
  const { items: documents, summary } = await readLines<SuggestedDocument, SuggestSummary>(response, 'document');
  if (options.output === 'json') context.out(toJson({ documents, summary }, 2));
  else {
    const texts = documents.map((document) => `${headOf(document)}${document.text}`);
    if (texts.length > 0) context.out(texts.join('---\n').trimEnd());
    for (const line of sayWhole(summary)) context.err(escapeUntrusted(line));
  }
  if (documents.length === 0) throw new CliFailure(EXIT.failed, 'error: nothing was observed of such workloads');
};
