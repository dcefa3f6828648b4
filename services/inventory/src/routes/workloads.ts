// SPDX-License-Identifier: Apache-2.0
/** /v1/workloads */
import { etag, type HttpApp, idempotencyHeader, mapPage, onceOf, pageOf, pageQuery, ref } from '@weir/http';
import { Type } from 'typebox';
import { notFound, type Operations } from '../operations/context.ts';
import { pageOfWorkloads } from '../operations/pages.ts';
import { probeWorkload } from '../operations/probes.ts';
import { createWorkload, deleteWorkload, updateWorkload } from '../operations/workloads.ts';
import { getWorkload } from '../store/workloads.ts';
import { WorkloadCreateSchema, WorkloadPatchSchema, WorkloadProbeSchema } from './inputs.ts';
import { Id, IfMatch, labelFilter, NoContent, paged } from './parts.ts';
import { ProbeSchema, probeView } from './probes.ts';
import { WorkloadSchema, workloadView } from './views.ts';

export const workloadRoutes = (app: HttpApp, operations: Operations): void => {
  const { kysely } = operations.db;
  const tags = ['workloads'];

  app.get(
    '/v1/workloads',
    {
      schema: {
        tags,
        summary: 'List workloads',
        querystring: Type.Object(
          {
            ...pageQuery,
            host: Type.Optional(Type.String()),
            namespace: Type.Optional(Type.String()),
            identity: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
            label: Type.Optional(Type.Array(Type.String(), { description: 'key=value; all of them' })),
          },
          { additionalProperties: false },
        ),
        response: { 200: pageOf(ref(WorkloadSchema)) },
      },
    },
    async ({ query }) => {
      const { limit: _limit, cursor: _cursor, label, ...rest } = query;
      const filter = { ...rest, ...(label === undefined ? {} : { labels: labelFilter(label) }) };
      return mapPage(await pageOfWorkloads(operations, filter, paged(query)), workloadView);
    },
  );

  app.post(
    '/v1/workloads',
    {
      schema: {
        tags,
        summary: 'Add a workload to a host; it gets an identity and addresses',
        headers: Type.Object(idempotencyHeader),
        body: ref(WorkloadCreateSchema),
        response: { 201: ref(WorkloadSchema) },
      },
    },
    async ({ body, headers }, reply) => {
      const input = { ...body, namespace: body.namespace ?? 'default' };
      const row = await createWorkload(operations, input, onceOf(headers, reply));
      const shown = workloadView(row);
      return reply
        .status(201)
        .header('etag', etag(row.revision, shown))
        .header('location', `/v1/workloads/${row.id}`)
        .send(shown);
    },
  );

  app.get(
    '/v1/workloads/:id',
    { schema: { tags, summary: 'Show a workload', params: Id, response: { 200: ref(WorkloadSchema) } } },
    async ({ params }, reply) => {
      const row = await getWorkload(kysely, params.id);
      if (!row) throw notFound('workload', params.id);
      const shown = workloadView(row);
      return reply.header('etag', etag(row.revision, shown)).send(shown);
    },
  );

  app.patch(
    '/v1/workloads/:id',
    {
      schema: {
        tags,
        summary: 'Change labels or named ports; new labels give a new identity',
        params: Id,
        headers: IfMatch,
        body: ref(WorkloadPatchSchema),
        response: { 200: ref(WorkloadSchema) },
      },
    },
    async ({ params, body, headers }, reply) => {
      const row = await updateWorkload(operations, params.id, body, headers['if-match']);
      const shown = workloadView(row);
      return reply.header('etag', etag(row.revision, shown)).send(shown);
    },
  );

  app.post(
    '/v1/workloads/:id/probe',
    {
      schema: {
        tags,
        summary: 'Try to reach an address from a workload, as one of its own programs would',
        params: Id,
        body: ref(WorkloadProbeSchema),
        response: { 200: ref(ProbeSchema) },
      },
    },
    async ({ params, body }) => probeView(await probeWorkload(operations, params.id, body)),
  );

  app.delete(
    '/v1/workloads/:id',
    { schema: { tags, summary: 'Remove a workload', params: Id, headers: IfMatch, response: NoContent } },
    async ({ params, headers }, reply) => {
      await deleteWorkload(operations, params.id, headers['if-match']);
      return reply.status(204).send(null);
    },
  );
};
