// SPDX-License-Identifier: Apache-2.0
/** /v1/policies: documents in, documents out. */
import {
  etag,
  type HttpApp,
  idempotencyHeader,
  mapPage,
  onceOf,
  PAGE_LIMIT_DEFAULT,
  pageOf,
  pageQuery,
  parseJson,
  ref,
  textBodies,
} from '@weir/http';
import { Type } from 'typebox';
import { applyPolicies, diffPolicies } from '../operations/apply.ts';
import type { Operations } from '../operations/context.ts';
import { deletePolicy, getPolicy, pageOfPolicies } from '../operations/policies.ts';
import { ATTRIBUTION } from './attribution.ts';
import { DOCUMENTS_BODY, documentsOf, PLACED, PLACED_BYTES } from './document-bodies.ts';
import { Key, keyOf } from './key.ts';
import { lintRoutes } from './lint.ts';
import { simulationRoutes } from './simulations.ts';
import { versionRoutes } from './versions.ts';
import { ApplyAnswerSchema, applyView, DeletedSchema, DiffAnswerSchema, PolicySchema, policyView } from './views.ts';

const IfMatch = Type.Object({
  'if-match': Type.Optional(Type.String({ description: 'ETag of what was read; 412 when it has changed since' })),
});

const ApplyHeaders = Type.Object({
  ...IfMatch.properties,
  'if-none-match': Type.Optional(
    Type.String({ description: '* creates only; 412 when one of the documents is in force' }),
  ),
  ...idempotencyHeader,
});

/** Bodies are text here, JSON too: only the engine's reader knows lines and columns. */
const documentRoutes = (app: HttpApp, operations: Operations): void => {
  const tags = ['policies'];
  textBodies(app);
  app.addContentTypeParser(PLACED, { parseAs: 'string', bodyLimit: PLACED_BYTES }, (_request, text, done) => {
    try {
      done(null, parseJson(text.toString()));
    } catch (error) {
      done(error as Error);
    }
  });
  simulationRoutes(app, operations);
  lintRoutes(app, operations);

  app.post(
    '/v1/policies',
    {
      schema: {
        tags,
        summary: 'Apply documents, all or none',
        querystring: Type.Object(
          {
            dry_run: Type.Optional(Type.Boolean({ default: false, description: 'Check and answer, change nothing' })),
            ...ATTRIBUTION,
          },
          { additionalProperties: false },
        ),
        headers: ApplyHeaders,
        body: DOCUMENTS_BODY,
        response: { 200: ref(ApplyAnswerSchema) },
      },
    },
    async ({ body, query, headers }, reply) => {
      const { text, sources } = documentsOf(body);
      const options = {
        sources,
        dryRun: query.dry_run,
        author: query.author,
        reason: query.reason,
        established: query.established,
        ifMatch: headers['if-match'],
        ifNoneMatch: headers['if-none-match'],
        once: onceOf(headers, reply),
      };
      return applyView(await applyPolicies(operations, text, options));
    },
  );

  app.post(
    '/v1/policies/diff',
    {
      schema: {
        tags,
        summary: 'What applying the documents would change',
        body: DOCUMENTS_BODY,
        response: { 200: ref(DiffAnswerSchema) },
      },
    },
    async ({ body }) => ({ results: [...(await diffPolicies(operations, documentsOf(body).text))] }),
  );
};

export const policyRoutes = (app: HttpApp, operations: Operations): void => {
  const tags = ['policies'];
  app.register(async (scope) => documentRoutes(scope as HttpApp, operations));
  versionRoutes(app, operations);

  app.get(
    '/v1/policies',
    {
      schema: {
        tags,
        summary: 'List the documents in force',
        querystring: Type.Object(
          {
            ...pageQuery,
            kind: Type.Optional(Type.String({ maxLength: 63 })),
            namespace: Type.Optional(Type.String({ maxLength: 63, description: '- for cluster-wide ones' })),
          },
          { additionalProperties: false },
        ),
        response: { 200: pageOf(ref(PolicySchema)) },
      },
    },
    async ({ query }) => {
      const { limit = PAGE_LIMIT_DEFAULT, cursor, ...filter } = query;
      return mapPage(await pageOfPolicies(operations, filter, { limit, cursor }), policyView);
    },
  );

  app.get(
    '/v1/policies/:kind/:namespace/:name',
    {
      schema: {
        tags,
        summary: 'Show a document',
        params: Key,
        querystring: Type.Object(
          { policy_revision: Type.Optional(Type.Integer({ minimum: 1, description: 'A former version' })) },
          { additionalProperties: false },
        ),
        response: { 200: ref(PolicySchema) },
      },
    },
    async ({ params, query }, reply) => {
      const wanted = query.policy_revision;
      const policy = await getPolicy(operations, keyOf(params), wanted === undefined ? undefined : BigInt(wanted));
      // Where its rules are written may change without a revision.
      const shown = policyView(policy);
      return reply.header('etag', etag(policy.revision, shown)).send(shown);
    },
  );

  app.delete(
    '/v1/policies/:kind/:namespace/:name',
    {
      schema: {
        tags,
        summary: 'Remove a document; answers with the revision of the removal',
        params: Key,
        querystring: Type.Object(ATTRIBUTION, { additionalProperties: false }),
        headers: IfMatch,
        response: { 200: ref(DeletedSchema) },
      },
    },
    async ({ params, headers, query }) => {
      const key = keyOf(params);
      return { key, revision: Number(await deletePolicy(operations, key, headers['if-match'], query)) };
    },
  );
};
