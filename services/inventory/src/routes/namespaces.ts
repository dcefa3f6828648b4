// SPDX-License-Identifier: Apache-2.0
/** /v1/namespaces */
import { etag, type HttpApp, mapPage, pageOf, pageQuery, ref } from '@weir/http';
import { Type } from 'typebox';
import { notFound, type Operations } from '../operations/context.ts';
import { deleteNamespace, putNamespace } from '../operations/namespaces.ts';
import { pageOfNamespaces } from '../operations/pages.ts';
import { getNamespace } from '../store/namespaces.ts';
import { NamespacePutSchema } from './inputs.ts';
import { Conditions, IfMatch, Name, NoContent, paged } from './parts.ts';
import { NamespaceSchema, namespaceView } from './views.ts';

export const namespaceRoutes = (app: HttpApp, operations: Operations): void => {
  const { kysely } = operations.db;
  const tags = ['namespaces'];

  app.get(
    '/v1/namespaces',
    {
      schema: {
        tags,
        summary: 'List namespaces',
        querystring: Type.Object(pageQuery, { additionalProperties: false }),
        response: { 200: pageOf(ref(NamespaceSchema)) },
      },
    },
    async ({ query }) => mapPage(await pageOfNamespaces(operations, paged(query)), namespaceView),
  );

  app.get(
    '/v1/namespaces/:name',
    { schema: { tags, summary: 'Show a namespace', params: Name, response: { 200: ref(NamespaceSchema) } } },
    async ({ params }, reply) => {
      const row = await getNamespace(kysely, params.name);
      if (!row) throw notFound('namespace', params.name);
      return reply.header('etag', etag(row.revision)).send(namespaceView(row));
    },
  );

  app.put(
    '/v1/namespaces/:name',
    {
      schema: {
        tags,
        summary: 'Set the labels of a namespace; its workloads get new identities',
        params: Name,
        headers: Conditions,
        body: ref(NamespacePutSchema),
        response: { 200: ref(NamespaceSchema) },
      },
    },
    async ({ params, body, headers }, reply) => {
      const conditions = { ifMatch: headers['if-match'], ifNoneMatch: headers['if-none-match'] };
      const row = await putNamespace(operations, params.name, body.labels, conditions);
      return reply.header('etag', etag(row.revision)).send(namespaceView(row));
    },
  );

  app.delete(
    '/v1/namespaces/:name',
    { schema: { tags, summary: 'Remove an empty namespace', params: Name, headers: IfMatch, response: NoContent } },
    async ({ params, headers }, reply) => {
      await deleteNamespace(operations, params.name, headers['if-match']);
      return reply.status(204).send(null);
    },
  );
};
