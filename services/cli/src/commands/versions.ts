// SPDX-License-Identifier: Apache-2.0
/** `weir history`, `restore` and `promote`: versions of one policy, a former one again, and what is staged enforced. */
import { escapeUntrusted } from '@weir/net';
import type { Context } from '../context.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { age, type Column, type Format, render } from '../output/table.ts';
import { type ApplyAnswer, policyPath, printDiff, waitRealised } from './policies.ts';

interface Version {
  readonly policy_revision: number;
  readonly revision: number;
  readonly removed: boolean;
  readonly made_at: string;
  readonly author: string | null;
  readonly reason: string | null;
}

const COLUMNS: readonly Column<Version>[] = [
  { title: 'VERSION', cell: (v) => v.policy_revision },
  { title: 'REVISION', cell: (v) => v.revision },
  { title: 'WHAT', cell: (v) => (v.removed ? 'removed' : 'applied') },
  { title: 'AGE', cell: (v) => age(v.made_at) },
  { title: 'AUTHOR', cell: (v) => v.author },
  { title: 'REASON', cell: (v) => v.reason },
];

const pathOf = (key: string): string => {
  const path = policyPath(key);
  if (path) return path;
  throw new CliFailure(EXIT.usage, `error: ${key} is not kind/namespace/name, such as NetworkPolicy/default/web`);
};

export interface HistoryOptions {
  readonly output: Format;
  /** Two versions, or one that is compared with what is in force. */
  readonly diff?: readonly string[];
}

export const history = async (context: Context, key: string, { output, diff }: HistoryOptions): Promise<void> => {
  const path = pathOf(key);
  if (diff === undefined) {
    context.out(render(output, COLUMNS, await context.client.list<Version>('policy', `${path}/versions`), false));
    return;
  }
  const [from = '', to, ...more] = diff;
  if (more.length > 0) throw new CliFailure(EXIT.usage, 'error: --diff compares two versions: write --diff 3,5');
  const query = new URLSearchParams({ from, ...(to === undefined ? {} : { to }) });
  const answer = await context.client.json<{ diff: string }>('policy', `${path}/diff`, { query });
  if (answer.diff === '') context.out('the two are equal');
  else printDiff(context, answer.diff);
};

export interface ChangeOptions {
  readonly author?: string;
  readonly reason?: string;
  readonly established?: 'cut' | 'drain';
  readonly wait?: boolean;
  readonly timeout: number;
}

/** Who and why, and what becomes of connections, for whatever changes policies. */
export const attribution = (
  { env }: Pick<Context, 'env'>,
  { author, reason, established }: Pick<ChangeOptions, 'author' | 'reason' | 'established'>,
): Record<string, string> => {
  const who = author ?? env.WEIR_AUTHOR;
  return { ...(who ? { author: who } : {}), ...(reason ? { reason } : {}), ...(established ? { established } : {}) };
};

const change = async (
  context: Context,
  key: string,
  verb: string,
  query: Readonly<Record<string, string>>,
  options: ChangeOptions,
): Promise<void> => {
  const answer = await context.client.json<ApplyAnswer>('policy', `${pathOf(key)}/${verb}`, {
    method: 'POST',
    query: new URLSearchParams({ ...query, ...attribution(context, options) }),
  });
  for (const result of answer.results) context.out(`${escapeUntrusted(result.key)} ${result.action}`);
  if (answer.results.length === 0) context.out(`${escapeUntrusted(key)} has removed what it was about`);
  if (options.wait) await waitRealised(context, answer.revision, options.timeout);
};

export const restore = (context: Context, key: string, options: ChangeOptions & { readonly to: string }) =>
  change(context, key, 'restore', { policy_revision: options.to }, options);

export const promote = (context: Context, key: string, options: ChangeOptions) =>
  change(context, key, 'promote', {}, options);
