// SPDX-License-Identifier: Apache-2.0
/** `weir apply`, `diff` and `delete`: policy documents in, what changed out. */
import type { FieldIssue } from '@weir/errors';
import { escapeUntrusted } from '@weir/net';
import type { Service } from '../client.ts';
import type { Context } from '../context.ts';
import { type Documents, readDocuments } from '../documents.ts';
import { CliFailure, EXIT, Refused, renderIssues, renderProblem, renderWarning } from '../failure.ts';
import {
  ANNOUNCEMENT_KINDS,
  announcementPath,
  applyServices,
  bgpPath,
  keyOfBalancer,
  lbPoolPath,
  POOL_KINDS,
  SERVICE_KINDS,
  servicePath,
  splitServices,
} from './balancer.ts';
import { applyGateways, GATEWAY_KIND, gatewayPath, splitGateways } from './gateways.ts';
import type { ObjectResult } from './objects.ts';
import { waitInventory } from './realised.ts';
import { printTrace, traceparent } from './trace.ts';

interface ApplyResult {
  readonly key: string;
  readonly action: 'created' | 'configured' | 'unchanged';
  readonly revision: number | string;
  readonly warnings: readonly FieldIssue[];
}

export interface ApplyAnswer {
  readonly results: readonly ApplyResult[];
  readonly revision: number | string;
}

interface RevisionAnswer {
  readonly hosts: readonly { readonly host: string; readonly state: string; readonly error?: string | null }[];
}

export interface ApplyOptions {
  readonly file: readonly string[];
  readonly dryRun?: boolean;
  readonly wait?: boolean;
  /** Shows when the change was where; waits too. */
  readonly trace?: boolean;
  readonly timeout: number;
  /** Who and why, as parameters. */
  readonly by?: Readonly<Record<string, string>>;
}

export const bodyOf = ({ text, sources }: Documents) =>
  sources.length === 0
    ? { type: 'application/yaml', text }
    : {
        type: 'application/vnd.weir.documents+json',
        text: JSON.stringify({
          documents: text,
          sources: sources.map(({ file, firstLine }) => ({ file, first_line: firstLine })),
        }),
      };

/** Sends the documents with the names of their files; a refusal is shown at the file's own lines. */
const post = async <T>(
  context: Context,
  path: string,
  documents: Documents,
  query = new URLSearchParams(),
  headers: Readonly<Record<string, string>> = {},
): Promise<T> => {
  try {
    return await context.client.json<T>('policy', path, {
      method: 'POST',
      query,
      headers,
      body: bodyOf(documents),
    });
  } catch (error) {
    if (error instanceof Refused) throw new CliFailure(EXIT.failed, renderProblem(error.problem, documents.locate));
    throw error;
  }
};

interface Parts {
  readonly policies: Documents | undefined;
  /** Nothing of inventory is there. */
  readonly isEmpty: boolean;
  readonly keys: readonly string[];
  /** Pools, services and gateways, in this order. */
  readonly write: (dryRun: boolean) => Promise<readonly ObjectResult[]>;
}

export const split = async (context: Context, documents: Documents): Promise<Parts> => {
  const balancer = await splitServices(documents);
  const { policies, gateways } = balancer.rest
    ? await splitGateways(balancer.rest)
    : { policies: undefined, gateways: [] };
  return {
    policies,
    isEmpty: gateways.length + balancer.objects.length === 0,
    // Backwards: a pool can't go while services have addresses of it.
    keys: [...balancer.objects.map(keyOfBalancer).reverse(), ...gateways.map(({ name }) => `${GATEWAY_KIND}/${name}`)],
    write: async (dryRun) => [
      ...(await applyServices(context, balancer, documents, dryRun)),
      ...(await applyGateways(context, gateways, documents, dryRun)),
    ],
  };
};

export const apply = async (context: Context, options: ApplyOptions): Promise<void> => {
  const documents = await readDocuments(options.file, context.readStdin);
  const { policies, isEmpty, write } = await split(context, documents);
  const dry = new URLSearchParams({ dry_run: 'true' });
  if (!isEmpty) {
    // Two services, so not one transaction: nothing is begun before both have looked at everything that they can check beforehand.
    if (policies !== undefined) await post<ApplyAnswer>(context, '/v1/policies', policies, dry);
    const results = await write(options.dryRun === true);
    if (options.dryRun)
      for (const { key, action } of results) context.out(`${escapeUntrusted(key)} ${action} (dry run)`);
    else if (options.wait) {
      await waitInventory(context, Math.max(...results.map(({ revision }) => revision)), options.timeout);
    }
  }
  if (policies !== undefined) await applyPolicies(context, policies, options);
};

const applyPolicies = async (context: Context, documents: Documents, options: ApplyOptions): Promise<void> => {
  const query = new URLSearchParams({ ...(options.dryRun ? { dry_run: 'true' } : {}), ...options.by });
  const headers: Record<string, string> = options.trace ? { traceparent: traceparent(context.env.TRACEPARENT) } : {};
  const answer = await post<ApplyAnswer>(context, '/v1/policies', documents, query, headers);
  for (const { key, action, warnings } of answer.results) {
    context.out(`${escapeUntrusted(key)} ${action}${options.dryRun ? ' (dry run)' : ''}`);
    for (const warning of warnings) context.err(renderWarning(warning, documents.locate));
  }
  if (options.dryRun) {
    const changes = answer.results.some(({ action }) => action !== 'unchanged');
    if (changes) await (await import('./simulate.ts')).sayCuts(context, documents);
    return;
  }
  if (options.wait || options.trace) await waitRealised(context, answer.revision, options.timeout);
  if (options.trace) await printTrace(context, answer.revision);
};

/** Waits until every host that is alive holds the revision in its kernel's maps. */
export const waitRealised = async (context: Context, revision: number | string, timeoutS: number): Promise<void> => {
  const started = Date.now();
  for (;;) {
    const leftS = Math.max(1, Math.min(20, Math.ceil(timeoutS - (Date.now() - started) / 1000)));
    const { hosts } = await context.client.json<RevisionAnswer>('policy', `/v1/revisions/${revision}`, {
      query: new URLSearchParams({ wait_s: String(leftS) }),
      timeoutMs: (leftS + 10) * 1000,
    });
    const failed = hosts.filter((h) => h.state === 'failed');
    if (failed.length) {
      const lines = failed.map(
        (h) =>
          `error: ${escapeUntrusted(h.host)} could not realise revision ${revision}: ${escapeUntrusted(h.error ?? '')}`,
      );
      throw new CliFailure(EXIT.failed, lines.join('\n'));
    }
    const pending = hosts.filter((h) => h.state === 'pending').map((h) => h.host);
    if (pending.length === 0) {
      const realised = hosts.filter((h) => h.state === 'realised').map((h) => escapeUntrusted(h.host));
      context.out(`revision ${revision} is in the kernel of ${realised.length} hosts: ${realised.join(', ')}`);
      return;
    }
    if (Date.now() - started > timeoutS * 1000) {
      throw new CliFailure(
        EXIT.failed,
        `error: after ${timeoutS} s revision ${revision} is still pending on ${pending.join(', ')}`,
      );
    }
  }
};

export const printDiff = (context: Pick<Context, 'out' | 'paint'>, text: string): void => {
  for (const line of text.replace(/\n$/, '').split('\n')) {
    const colour = line.startsWith('+') ? 'green' : line.startsWith('-') ? 'red' : undefined;
    context.out(colour ? context.paint(colour, escapeUntrusted(line)) : escapeUntrusted(line));
  }
};

export const diff = async (context: Context, files: readonly string[]): Promise<void> => {
  const documents = await readDocuments(files, context.readStdin);
  const { policies, write } = await split(context, documents);
  for (const { key, action } of await write(true)) {
    if (action === 'unchanged') continue;
    context.out(`${escapeUntrusted(key)} would be ${action}`);
    context.setExitCode(EXIT.failed);
  }
  if (policies === undefined) return;
  const { results } = await post<{ results: { key: string; action: string; diff: string }[] }>(
    context,
    '/v1/policies/diff',
    policies,
  );
  for (const result of results.filter((r) => r.action !== 'unchanged')) {
    printDiff(context, result.diff);
    context.setExitCode(EXIT.failed);
  }
};

interface Target {
  readonly service: Service;
  readonly path: string;
}

/** Of `kind/namespace/name`, or `kind/name` of a cluster-wide one; undefined: it is none. */
export const policyPath = (key: string): string | undefined => {
  const parts = key.split('/');
  const [kind, namespace, name] = parts.length === 2 ? [parts[0], '-', parts[1]] : parts;
  if (!kind || !namespace || !name || parts.length > 3) return undefined;
  return `/v1/policies/${[kind, namespace, name].map(encodeURIComponent).join('/')}`;
};

/** Keys as `kind/namespace/name`; cluster-wide kinds have `-` as namespace, which may be left out. */
const targetOf = (key: string): Target => {
  const parts = key.split('/');
  const [kind, namespace, name] = parts.length === 2 ? [parts[0], '-', parts[1]] : parts;
  if (name && namespace === '-') {
    if (kind === GATEWAY_KIND) return { service: 'inventory', path: gatewayPath(name) };
    if (kind === 'BgpInstance') return { service: 'inventory', path: bgpPath(name) };
    if (kind && ANNOUNCEMENT_KINDS.includes(kind)) return { service: 'inventory', path: announcementPath(name) };
    if (kind && POOL_KINDS.includes(kind)) return { service: 'inventory', path: lbPoolPath(name) };
  }
  if (kind && SERVICE_KINDS.includes(kind) && namespace && namespace !== '-' && name && parts.length === 3) {
    return { service: 'inventory', path: servicePath(namespace, name) };
  }
  if (!kind || !namespace || !name || parts.length > 3) {
    throw new CliFailure(EXIT.usage, `error: ${key} is not kind/namespace/name, such as NetworkPolicy/default/web`);
  }
  return { service: 'policy', path: policyPath(key) ?? '' };
};

/** Keys of the documents in files; read here, so that only what is deleted is asked of the service. */
const keysIn = async (context: Context, files: readonly string[]): Promise<readonly string[]> => {
  if (files.length === 0) return [];
  const documents = await readDocuments(files, context.readStdin);
  const { policies, keys } = await split(context, documents);
  if (policies === undefined) return keys;
  // Loaded where it is needed: the engine takes longer to load than all the rest of the command.
  const { parseDocuments } = await import('@weir/policy-engine');
  const { documents: parsed, issues } = parseDocuments(policies.text, { maxBytes: Number.POSITIVE_INFINITY });
  if (issues.length > 0) throw new CliFailure(EXIT.failed, renderIssues(issues, documents.locate));
  return [...parsed.map(({ key }) => key), ...keys];
};

export interface RemoveOptions {
  /** Who and why, as parameters. */
  readonly by?: Readonly<Record<string, string>>;
  readonly filename?: readonly string[];
  readonly ignoreNotFound?: boolean;
}

/** Every policy that can be deleted is; what could not is said at the end. */
export const remove = async (context: Context, keys: readonly string[], options: RemoveOptions): Promise<void> => {
  const all = [...keys, ...(await keysIn(context, options.filename ?? []))];
  if (all.length === 0) throw new CliFailure(EXIT.usage, 'error: name a policy (kind/namespace/name) or a file (-f)');
  const targets = all.map((key) => ({ key, ...targetOf(key) }));
  const refused: string[] = [];
  for (const { key, service, path } of targets) {
    try {
      const query = new URLSearchParams(service === 'policy' ? options.by : {});
      await context.client.send(service, path, { method: 'DELETE', query });
      context.out(`${escapeUntrusted(key)} deleted`);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 404 && options.ignoreNotFound) continue;
      refused.push(error.message);
    }
  }
  if (refused.length > 0) throw new CliFailure(EXIT.failed, refused.join('\n'));
};
