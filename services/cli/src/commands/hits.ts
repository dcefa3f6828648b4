// SPDX-License-Identifier: Apache-2.0
/** `weir hits`: how often the rules in force decided, and which did not for a long time. */
import type { Context } from '../context.ts';
import { age, type Column, type Format, render } from '../output/table.ts';

export interface HitsOptions {
  readonly namespace?: string;
  readonly policy?: string;
  readonly unusedFor?: string;
  readonly output: Format;
}

interface RuleHits {
  readonly rule: {
    readonly id: number;
    readonly policy_key: string;
    readonly path: string;
    readonly action: string;
    readonly file: string | null;
    readonly line: number | null;
  };
  readonly hits: number;
  readonly packets: number;
  readonly bytes: number;
  readonly last_hit_at: string | null;
  readonly counted_since: string;
}

const COLUMNS: readonly Column<RuleHits>[] = [
  { title: 'ID', cell: ({ rule }) => rule.id },
  { title: 'POLICY', cell: ({ rule }) => rule.policy_key },
  { title: 'RULE', cell: ({ rule }) => rule.path },
  { title: 'ACTION', cell: ({ rule }) => rule.action },
  { title: 'HITS', cell: ({ hits }) => hits },
  { title: 'PACKETS', cell: ({ packets }) => packets, wide: true },
  { title: 'BYTES', cell: ({ bytes }) => bytes, wide: true },
  { title: 'LAST', cell: (rule) => age(rule.last_hit_at) },
  { title: 'COUNTED', cell: (rule) => age(rule.counted_since) },
  { title: 'FILE', cell: ({ rule }) => rule.file, wide: true },
  { title: 'LINE', cell: ({ rule }) => rule.line, wide: true },
];

export const showHits = async (context: Context, options: HitsOptions): Promise<void> => {
  const query = new URLSearchParams();
  if (options.namespace) query.set('namespace', options.namespace);
  if (options.policy) query.set('policy', options.policy);
  if (options.unusedFor) query.set('unused_for', options.unusedFor);
  const items = await context.client.list<RuleHits>('policy', '/v1/rules/hits', query);
  context.out(render(options.output, COLUMNS, items, false));
};
