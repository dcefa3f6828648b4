// SPDX-License-Identifier: Apache-2.0
/** CiliumEgressGatewayPolicy among the documents of apply, diff and delete: inventory's objects, not the policy service's. */
import { escapeUntrusted } from '@weir/net';
import type { EgressGatewayDocument } from '@weir/policy-engine';
import type { Context } from '../context.ts';
import type { Documents } from '../documents.ts';
import { CliFailure, EXIT, Refused, renderIssues } from '../failure.ts';
import { type ObjectResult, putObject, type Written } from './objects.ts';

export const GATEWAY_KIND = 'CiliumEgressGatewayPolicy';

export const gatewayPath = (name: string): string => `/v1/egress-gateways/${encodeURIComponent(name)}`;

export interface Split {
  /** What is not a gateway; undefined: nothing is. */
  readonly policies: Documents | undefined;
  readonly gateways: readonly EgressGatewayDocument[];
}

/** Fails with file, line and column of everything that is wrong with a gateway. */
export const splitGateways = async (documents: Documents): Promise<Split> => {
  if (!documents.text.includes(GATEWAY_KIND)) return { policies: documents, gateways: [] };
  // Loaded where it is needed: the engine takes longer to load than all the rest of the command.
  const { splitEgressGateways } = await import('@weir/policy-engine');
  const { rest, found: gateways, issues } = splitEgressGateways(documents.text);
  if (issues.length > 0) throw new CliFailure(EXIT.failed, renderIssues(issues, documents.locate));
  return { policies: rest === '' ? undefined : { ...documents, text: rest }, gateways };
};

const written = async (
  context: Context,
  { name, body, position }: EgressGatewayDocument,
  { locate }: Documents,
  dryRun: boolean,
): Promise<Written> => {
  try {
    return await putObject(context, gatewayPath(name), () => ({ ...body }), dryRun);
  } catch (error) {
    if (!(error instanceof Refused) || position === undefined) throw error;
    // The service names fields of its own object; the document that it was made of is where to look.
    const { file, line } = locate(position.line);
    throw new CliFailure(
      EXIT.failed,
      `${file}:${line}: ${GATEWAY_KIND}/${escapeUntrusted(name)}\n${error.message}`,
      error.status,
    );
  }
};

/** One after the other; the first that is refused ends it. Dry: what would become of them. */
export const applyGateways = async (
  context: Context,
  gateways: readonly EgressGatewayDocument[],
  documents: Documents,
  dryRun: boolean,
): Promise<readonly ObjectResult[]> => {
  const results: ObjectResult[] = [];
  for (const one of gateways) {
    const result = { key: `${GATEWAY_KIND}/${one.name}`, ...(await written(context, one, documents, dryRun)) };
    results.push(result);
    if (!dryRun) context.out(`${escapeUntrusted(result.key)} ${result.action}`);
  }
  return results;
};
