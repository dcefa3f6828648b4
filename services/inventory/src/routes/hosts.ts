// SPDX-License-Identifier: Apache-2.0
/** /v1/hosts */
import { etag, type HttpApp, idempotencyHeader, mapPage, onceOf, pageOf, pageQuery, ref } from '@weir/http';
import { Type } from 'typebox';
import type { Operations } from '../operations/context.ts';
import { notFound } from '../operations/context.ts';
import { createHost, deleteHost, updateHost } from '../operations/hosts.ts';
import { pageOfHosts } from '../operations/pages.ts';
import { getHost } from '../store/hosts.ts';
import { HostCreateSchema, HostPatchSchema } from './inputs.ts';
import { Id, IfMatch, NoContent, paged } from './parts.ts';
import { HostSchema, hostView } from './views.ts';

export const hostRoutes = (app: HttpApp, operations: Operations): void => {
  const { kysely } = operations.db;
  const tags = ['hosts'];

  app.get(
    '/v1/hosts',
    {
      schema: {
        tags,
        summary: 'List hosts',
        querystring: Type.Object(pageQuery, { additionalProperties: false }),
        response: { 200: pageOf(ref(HostSchema)) },
      },
    },
    async ({ query }) => mapPage(await pageOfHosts(operations, paged(query)), (row) => hostView(row)),
  );

  app.post(
    '/v1/hosts',
    {
      schema: {
        tags,
        summary: 'Add a host; it gets its address pools',
        headers: Type.Object(idempotencyHeader),
        body: ref(HostCreateSchema),
        response: { 201: ref(HostSchema) },
      },
    },
    async ({ body, headers }, reply) => {
      const row = await createHost(operations, body, onceOf(headers, reply));
      const shown = hostView(row);
      return reply
        .status(201)
        .header('etag', etag(row.revision, shown))
        .header('location', `/v1/hosts/${row.id}`)
        .send(shown);
    },
  );

  app.get(
    '/v1/hosts/:id',
    { schema: { tags, summary: 'Show a host', params: Id, response: { 200: ref(HostSchema) } } },
    async ({ params }, reply) => {
      const row = await getHost(kysely, params.id);
      if (!row) throw notFound('host', params.id);
      const shown = hostView(row);
      return reply.header('etag', etag(row.revision, shown)).send(shown);
    },
  );

  app.patch(
    '/v1/hosts/:id',
    {
      schema: {
        tags,
        summary: 'Change a host',
        params: Id,
        headers: IfMatch,
        body: ref(HostPatchSchema),
        response: { 200: ref(HostSchema) },
      },
    },
    async ({ params, body, headers }, reply) => {
      const row = await updateHost(operations, params.id, body, headers['if-match']);
      const shown = hostView(row);
      return reply.header('etag', etag(row.revision, shown)).send(shown);
    },
  );

  app.delete(
    '/v1/hosts/:id',
    {
      schema: {
        tags,
        summary: 'Remove a host that has no workloads',
        params: Id,
        headers: IfMatch,
        response: NoContent,
      },
    },
    async ({ params, headers }, reply) => {
      await deleteHost(operations, params.id, headers['if-match']);
      return reply.status(204).send(null);
    },
  );
};
