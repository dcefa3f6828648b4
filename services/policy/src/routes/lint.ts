// SPDX-License-Identifier: Apache-2.0
/** /v1/policies/lint: what is odd about documents, in force or about to be applied. */
import { type HttpApp, ref } from '@weir/http';
import { Type } from 'typebox';
import type { Operations } from '../operations/context.ts';
import { lintDocuments } from '../operations/lint.ts';
import { DOCUMENTS_BODY, documentsOf } from './document-bodies.ts';
import { LintSchema, lintView } from './views.ts';

const QUERY = Type.Object(
  { notes: Type.Optional(Type.Boolean({ default: false, description: 'Matters of taste, too' })) },
  { additionalProperties: false },
);

export const lintRoutes = (app: HttpApp, operations: Operations): void => {
  const tags = ['policies'];
  app.get(
    '/v1/policies/lint',
    {
      schema: {
        tags,
        summary: 'What is odd about the documents in force: rules that never decide, names of nobody ...',
        querystring: QUERY,
        response: { 200: ref(LintSchema) },
      },
    },
    async ({ query: { notes = false } }) => lintView(await lintDocuments(operations, { sources: [], notes })),
  );
  app.post(
    '/v1/policies/lint',
    {
      schema: {
        tags,
        summary: 'The same about documents as if they were applied; nothing of others is told',
        querystring: QUERY,
        body: DOCUMENTS_BODY,
        response: { 200: ref(LintSchema) },
      },
    },
    async ({ body, query: { notes = false } }) => {
      const { text: documents, sources } = documentsOf(body);
      return lintView(await lintDocuments(operations, { documents, sources, notes }));
    },
  );
};
