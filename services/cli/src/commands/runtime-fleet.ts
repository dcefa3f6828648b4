// SPDX-License-Identifier: Apache-2.0
/** `weir runtime apply|diff|list|get|hosts|delete`: runtime policies of the fleet, and what each host does about one. */
import type { FieldIssue } from '@weir/errors';
import { escapeUntrusted } from '@weir/net';
import type { Context } from '../context.ts';
import { type Documents, readDocuments } from '../documents.ts';
import { CliFailure, EXIT, Refused, renderProblem, renderWarning } from '../failure.ts';
import { toJson, toYaml } from '../output/safe.ts';
import { age, type Column, type Format, render } from '../output/table.ts';

const PATH = '/v1/runtime-policies';

interface Policy {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly mode: string;
  readonly hooks: readonly string[];
  readonly revision: number;
  readonly updated_at: string;
}

interface PolicyHost {
  readonly host: string;
  readonly state: string;
  readonly reason: string | null;
}

/** `kind/namespace/name`; without a namespace also `kind/name`, and `name` alone for a TracingPolicy. */
const pathOf = (key: string): string => {
  const parts = key.split('/');
  const [kind, namespace, name] =
    parts.length === 1 ? ['TracingPolicy', '-', key] : parts.length === 2 ? [parts[0], '-', parts[1]] : parts;
  if (!kind || !namespace || !name || parts.length > 3) {
    const said = `error: ${escapeUntrusted(key)} is not kind/namespace/name, such as TracingPolicy/-/shadow`;
    throw new CliFailure(EXIT.usage, said);
  }
  return `${PATH}/${[kind, namespace, name].map(encodeURIComponent).join('/')}`;
};

const post = async <T>(
  context: Context,
  path: string,
  documents: Documents,
  query = new URLSearchParams(),
): Promise<T> => {
  try {
    const body = { type: 'application/yaml', text: documents.text };
    return await context.client.json<T>('policy', path, { method: 'POST', query, body });
  } catch (error) {
    if (error instanceof Refused) throw new CliFailure(EXIT.failed, renderProblem(error.problem, documents.locate));
    throw error;
  }
};

interface ApplyAnswer {
  readonly results: readonly {
    readonly key: string;
    readonly action: string;
    readonly warnings: readonly FieldIssue[];
  }[];
}

export const applyRuntime = async (context: Context, files: readonly string[], dryRun: boolean): Promise<void> => {
  const documents = await readDocuments(files, context.readStdin);
  const query = new URLSearchParams(dryRun ? { dry_run: 'true' } : {});
  const { results } = await post<ApplyAnswer>(context, PATH, documents, query);
  for (const { key, action, warnings } of results) {
    context.out(`${escapeUntrusted(key)} ${action}${dryRun ? ' (dry run)' : ''}`);
    for (const warning of warnings) context.err(renderWarning(warning, documents.locate));
  }
  if (!dryRun) context.err('stored, and enforced by no host yet: weir runtime hosts KEY says what each does about it');
};

export const diffRuntime = async (context: Context, files: readonly string[]): Promise<void> => {
  const documents = await readDocuments(files, context.readStdin);
  const { results } = await post<{ results: { action: string; diff: string }[] }>(context, `${PATH}/diff`, documents);
  for (const { diff } of results.filter(({ action }) => action !== 'unchanged')) {
    for (const line of diff.replace(/\n$/, '').split('\n')) context.out(escapeUntrusted(line));
    context.setExitCode(EXIT.failed);
  }
};

const POLICY_COLUMNS: readonly Column<Policy>[] = [
  { title: 'KIND', cell: ({ kind }) => kind },
  { title: 'NAMESPACE', cell: ({ namespace }) => namespace },
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'MODE', cell: ({ mode }) => mode },
  { title: 'HOOKS', cell: ({ hooks }) => hooks.length },
  { title: 'REVISION', cell: ({ revision }) => revision },
  { title: 'AGE', cell: ({ updated_at: at }) => age(at) },
];
const HOST_COLUMNS: readonly Column<PolicyHost>[] = [
  { title: 'HOST', cell: ({ host }) => host },
  { title: 'STATE', cell: ({ state }) => state },
  { title: 'REASON', cell: ({ reason }) => reason },
];

export const listRuntime = async (context: Context, format: Format): Promise<void> => {
  context.out(render(format, POLICY_COLUMNS, await context.client.list<Policy>('policy', PATH), false));
};

export const hostsOfRuntime = async (context: Context, key: string, format: Format): Promise<void> => {
  const { hosts } = await context.client.json<{ hosts: PolicyHost[] }>('policy', `${pathOf(key)}/hosts`);
  context.out(render(format, HOST_COLUMNS, hosts, false));
};

export const getRuntime = async (context: Context, key: string, format: 'yaml' | 'json'): Promise<void> => {
  const policy = await context.client.json<{ document: unknown }>('policy', pathOf(key));
  context.out(format === 'json' ? toJson(policy, 2) : toYaml(policy));
};

/** Every policy that can be deleted is; what could not is said at the end. */
export const deleteRuntime = async (context: Context, keys: readonly string[]): Promise<void> => {
  const refused: string[] = [];
  for (const [key, path] of keys.map((one) => [one, pathOf(one)] as const)) {
    try {
      await context.client.send('policy', path, { method: 'DELETE' });
      context.out(`${escapeUntrusted(key)} deleted`);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      refused.push(error.message);
    }
  }
  if (refused.length > 0) throw new CliFailure(EXIT.failed, refused.join('\n'));
};
