// SPDX-License-Identifier: Apache-2.0
/** Versions of a document, under its own path: list, compare, restore; and promoting what is staged. */
import { type HttpApp, mapPage, PAGE_LIMIT_DEFAULT, pageOf, pageQuery, ref } from '@weir/http';
import { Type } from 'typebox';
import type { Operations } from '../operations/context.ts';
import { diffVersions, pageOfVersions, promotePolicy, restorePolicy } from '../operations/versions.ts';
import { ATTRIBUTION } from './attribution.ts';
import { Key, keyOf } from './key.ts';
import { ApplyAnswerSchema, applyView, VersionDiffSchema, VersionSchema, versionView } from './views.ts';

const VERSION_MAX = Number.MAX_SAFE_INTEGER;
const version = (description: string) => Type.Integer({ minimum: 1, maximum: VERSION_MAX, description });

export const versionRoutes = (app: HttpApp, operations: Operations): void => {
  const tags = ['policies'];
  const path = '/v1/policies/:kind/:namespace/:name';

  app.get(
    `${path}/versions`,
    {
      schema: {
        tags,
        summary: 'List the versions of a document, the newest first, removals too',
        params: Key,
        querystring: Type.Object(pageQuery, { additionalProperties: false }),
        response: { 200: pageOf(ref(VersionSchema)) },
      },
    },
    async ({ params, query: { limit = PAGE_LIMIT_DEFAULT, cursor } }) =>
      mapPage(await pageOfVersions(operations, keyOf(params), { limit, cursor }), versionView),
  );

  app.get(
    `${path}/diff`,
    {
      schema: {
        tags,
        summary: 'What differs between two versions of a document',
        params: Key,
        querystring: Type.Object(
          {
            from: version('The version before'),
            to: Type.Optional(version('The version after; else what is in force')),
          },
          { additionalProperties: false },
        ),
        response: { 200: ref(VersionDiffSchema) },
      },
    },
    async ({ params, query: { from, to = 0 } }) => diffVersions(operations, keyOf(params), BigInt(from), BigInt(to)),
  );

  app.post(
    `${path}/restore`,
    {
      schema: {
        tags,
        summary: 'Make a former version the newest again, of a removed document too',
        params: Key,
        querystring: Type.Object(
          { policy_revision: version('The version to return to'), ...ATTRIBUTION },
          { additionalProperties: false },
        ),
        response: { 200: ref(ApplyAnswerSchema) },
      },
    },
    async ({ params, query: { policy_revision: wanted, ...by } }) =>
      applyView(await restorePolicy(operations, keyOf(params), BigInt(wanted), by)),
  );

  app.post(
    `${path}/promote`,
    {
      schema: {
        tags,
        summary: 'Enforce what is staged or audited',
        description:
          'A staged document takes the place of the one that it is about, under its name when it is of the same kind and namespace. ' +
          'All in one transaction; what is added goes to the hosts before what is removed.',
        params: Key,
        querystring: Type.Object(ATTRIBUTION, { additionalProperties: false }),
        response: { 200: ref(ApplyAnswerSchema) },
      },
    },
    async ({ params, query }) => applyView(await promotePolicy(operations, keyOf(params), query)),
  );
};
