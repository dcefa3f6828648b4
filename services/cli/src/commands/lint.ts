// SPDX-License-Identifier: Apache-2.0
/**
 * `weir lint`: what is odd about the policies in force, or about them with given documents as if applied: rules that never decide, are
 * written twice, select nobody. By the engine that enforces, from what the services tell; with --offline only the files are looked at.
 */
import { escapeUntrusted } from '@weir/net';
import { type Finding, lintPolicies, type PolicyDocument, parseDocument, parseDocuments } from '@weir/policy-engine';
import type { Context } from '../context.ts';
import { readDocuments } from '../documents.ts';
import { CliFailure, EXIT, type LocateLine, renderIssues } from '../failure.ts';
import { toJson, toYaml } from '../output/safe.ts';

export interface LintCommandOptions {
  readonly filename?: readonly string[];
  readonly offline?: boolean;
  /** Notes, too: matters of taste. */
  readonly notes?: boolean;
  readonly output: 'text' | 'json' | 'yaml';
}

interface PolicyItem {
  readonly key: string;
  readonly document: unknown;
  readonly rules: readonly { readonly path: string; readonly file?: string | null; readonly line?: number | null }[];
}

interface Placed extends Omit<Finding, 'line' | 'column'> {
  readonly file?: string;
  readonly line?: number;
}

interface Given {
  readonly docs: readonly PolicyDocument[];
  readonly locate?: LocateLine;
}

const read = async (context: Context, files: readonly string[]): Promise<Given> => {
  if (files.length === 0) return { docs: [] };
  const documents = await readDocuments(files, context.readStdin);
  const { documents: docs, issues } = parseDocuments(documents.text);
  if (issues.length > 0) throw new CliFailure(EXIT.failed, renderIssues(issues, documents.locate));
  return { docs, locate: documents.locate };
};

/** Where a rule is written, as it was last applied. */
const placeInForce = ({ rules }: PolicyItem, path: string): Pick<Placed, 'file' | 'line'> => {
  const rule = rules.find((one) => path === one.path || path.startsWith(`${one.path}.`));
  return { ...(rule?.file ? { file: rule.file } : {}), ...(rule?.line ? { line: rule.line } : {}) };
};

interface Workload {
  readonly ip4: string | null;
  readonly ip6: string | null;
}

interface Fleet {
  readonly inForce: readonly PolicyItem[];
  readonly identities?: ReadonlyMap<number, readonly string[]>;
  readonly managed?: readonly string[];
}

const readFleet = async ({ client }: Context): Promise<Fleet> => {
  const inForce = await client.list<PolicyItem>('policy', '/v1/policies');
  const identities = await client.list<{ identity: number; labels: string[] }>('inventory', '/v1/identities');
  const workloads = await client.list<Workload>('inventory', '/v1/workloads');
  return {
    inForce,
    identities: new Map(identities.map(({ identity, labels }) => [identity, labels])),
    managed: workloads.flatMap(({ ip4, ip6 }) => [ip4, ip6].filter((ip) => ip !== null)),
  };
};

const textOf = ({ policy, path, level, code, message, fix, file, line }: Placed): string => {
  const place = line === undefined ? '' : `${file === undefined ? 'line ' : `${file}:`}${line}: `;
  return escapeUntrusted(`${place}${level} ${code}: ${path} of ${policy}: ${message}${fix ? `; ${fix}` : ''}`);
};

export const lintFiles = async (context: Context, options: LintCommandOptions): Promise<void> => {
  const { docs, locate } = await read(context, options.filename ?? []);
  if (options.offline && docs.length === 0)
    throw new CliFailure(EXIT.usage, 'error: --offline looks at files: name one with -f');
  const fleet: Fleet = options.offline ? { inForce: [] } : await readFleet(context);
  const kept = fleet.inForce.filter(({ key }) => !docs.some((doc) => doc.key === key));
  const all = [...kept.map(({ document }) => parseDocument(document)), ...docs];
  const given = new Set(docs.map(({ key }) => key));
  const { identities, managed } = fleet;
  const findings = lintPolicies(all, { ...(identities ? { identities } : {}), ...(managed ? { managed } : {}) })
    .filter(({ level, policy }) => (options.notes || level === 'warning') && (docs.length === 0 || given.has(policy)))
    .map(({ line, column: _, ...finding }): Placed => {
      const item = kept.find(({ key }) => key === finding.policy);
      if (item) return { ...finding, ...placeInForce(item, finding.path) };
      return { ...finding, ...(line === undefined || !locate ? {} : locate(line)) };
    });
  if (options.output === 'json') context.out(toJson({ findings }, 2));
  else if (options.output === 'yaml') context.out(toYaml({ findings }));
  else if (findings.length === 0) context.out(`nothing to say about ${docs.length || all.length} documents`);
  else for (const finding of findings) context.out(textOf(finding));
  if (findings.some(({ level }) => level === 'warning')) context.setExitCode(EXIT.failed);
};
