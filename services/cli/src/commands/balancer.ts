// SPDX-License-Identifier: Apache-2.0
/** Services, their pools and announcements among the documents of apply, diff and delete: inventory's objects. */
import { isDeepStrictEqual } from 'node:util';
import type { FieldIssue } from '@weir/errors';
import { escapeUntrusted } from '@weir/net';
import type { BalancerDocument, placeOf } from '@weir/policy-engine';
import type { Context } from '../context.ts';
import type { Documents } from '../documents.ts';
import { CliFailure, EXIT, Refused, renderIssues } from '../failure.ts';
import { type ObjectResult, putObject, type Written } from './objects.ts';

/** So that the engine, which takes long to load, is loaded for texts that may have some only. */
const MENTIONS =
  /\bkind"?\s*:\s*["']?(?:Service|EndpointSlice|CiliumLoadBalancerIPPool|LoadBalancerPool|CiliumL2AnnouncementPolicy|CiliumLocalRedirectPolicy|L2Announcement|BgpInstance)\b/;

export const SERVICE_KINDS = ['Service', 'CiliumLocalRedirectPolicy'];
export const POOL_KINDS = ['CiliumLoadBalancerIPPool', 'LoadBalancerPool'];
export const ANNOUNCEMENT_KINDS = ['CiliumL2AnnouncementPolicy', 'L2Announcement'];

export interface BalancerPart {
  /** Without services and pools; undefined: nothing else is there. */
  readonly rest: Documents | undefined;
  /** Pools first: services get addresses of them. */
  readonly objects: readonly BalancerDocument[];
  readonly locatePlace: typeof placeOf;
}

/** Fails with file, line and column of everything that is wrong with one. */
export const splitServices = async (documents: Documents): Promise<BalancerPart> => {
  if (!MENTIONS.test(documents.text)) return { rest: documents, objects: [], locatePlace: () => undefined };
  const { splitBalancer, placeOf } = await import('@weir/policy-engine');
  const { rest, found, issues } = splitBalancer(documents.text);
  if (issues.length > 0) throw new CliFailure(EXIT.failed, renderIssues(issues, documents.locate));
  const pools = found.filter(({ becomes }) => becomes === 'pool');
  const objects = [...pools, ...found.filter(({ becomes }) => becomes !== 'pool')];
  return { rest: rest === '' ? undefined : { ...documents, text: rest }, objects, locatePlace: placeOf };
};

export const servicePath = (namespace: string, name: string): string =>
  `/v1/services/${encodeURIComponent(`${namespace}.${name}`)}`;
export const lbPoolPath = (name: string): string => `/v1/lb-pools/${encodeURIComponent(name)}`;

export const announcementPath = (name: string): string => `/v1/l2-announcements/${encodeURIComponent(name)}`;

export const bgpPath = (name: string): string => `/v1/bgp-instances/${encodeURIComponent(name)}`;

export const pathOfBalancer = ({ becomes, namespace = 'default', name }: BalancerDocument): string => {
  if (becomes === 'announcement') return announcementPath(name);
  if (becomes === 'bgp') return bgpPath(name);
  return becomes === 'pool' ? lbPoolPath(name) : servicePath(namespace, name);
};

export const keyOfBalancer = ({ kind, namespace, name }: BalancerDocument): string =>
  namespace === undefined ? `${kind}/${name}` : `${kind}/${namespace}/${name}`;

interface Shown {
  readonly spec: object;
  readonly revision: number;
}

const putService = async (context: Context, path: string, body: object, dryRun: boolean): Promise<Written> => {
  const before = await context.client.json<Shown>('inventory', path).catch((error: unknown) => {
    if (error instanceof Refused && error.status === 404) return undefined;
    throw error;
  });
  const after = await context.client.json<Shown>('inventory', path, {
    method: 'PUT',
    query: new URLSearchParams(dryRun ? { dry_run: 'true' } : {}),
    body: { type: 'application/json', text: JSON.stringify(body) },
  });
  const { revision } = after;
  if (before === undefined) return { action: 'created', revision };
  return { action: isDeepStrictEqual(before.spec, after.spec) ? 'unchanged' : 'configured', revision };
};

/** The service names fields of its own object; where they stand in the text is known. */
const placed = (error: Refused, one: BalancerDocument, part: BalancerPart, documents: Documents): CliFailure => {
  const { problem } = error;
  const issues: readonly FieldIssue[] = problem.errors?.length
    ? problem.errors
    : [
        {
          path: problem.field ?? '',
          message: problem.detail ?? problem.title,
          ...(problem.fix === undefined ? {} : { fix: problem.fix }),
        },
      ];
  const where = issues.map((issue) => ({
    ...issue,
    ...(part.locatePlace(one.places, issue.path) ?? one.position ?? {}),
    message: `${keyOfBalancer(one)}: ${issue.message}`,
  }));
  return new CliFailure(EXIT.failed, renderIssues(where, documents.locate), error.status);
};

/** One after the other; the first that is refused ends it. Dry: what would become of them. */
export const applyServices = async (
  context: Context,
  part: BalancerPart,
  documents: Documents,
  dryRun: boolean,
): Promise<readonly ObjectResult[]> => {
  const results: ObjectResult[] = [];
  for (const one of part.objects) {
    const path = pathOfBalancer(one);
    try {
      const written =
        one.becomes !== 'service'
          ? await putObject(context, path, () => ({ ...one.body }), dryRun)
          : await putService(context, path, one.body, dryRun);
      const result = { key: keyOfBalancer(one), ...written };
      results.push(result);
      if (!dryRun) context.out(`${escapeUntrusted(result.key)} ${result.action}`);
    } catch (error) {
      throw error instanceof Refused ? placed(error, one, part, documents) : error;
    }
  }
  return results;
};
