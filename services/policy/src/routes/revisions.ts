// SPDX-License-Identifier: Apache-2.0
/** /v1/revisions: which hosts hold a revision in their kernel. */
import { type HttpApp, ref } from '@weir/http';
import { Type } from 'typebox';
import type { Operations } from '../operations/context.ts';
import { WAIT_MAX_S, waitForRevision } from '../operations/revisions.ts';
import { traceOf } from '../operations/stages.ts';
import { RevisionSchema, RevisionTraceSchema, revisionTraceView, revisionView } from './views.ts';

const RevisionParams = Type.Object(
  { revision: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }) },
  { additionalProperties: false },
);

export const revisionRoutes = (app: HttpApp, operations: Operations): void => {
  app.get(
    '/v1/revisions/:revision',
    {
      schema: {
        tags: ['revisions'],
        summary: 'Show which hosts hold a revision; with wait_s, wait until all that are alive hold it or have failed',
        params: RevisionParams,
        querystring: Type.Object(
          { wait_s: Type.Optional(Type.Number({ minimum: 0, maximum: WAIT_MAX_S, default: 0 })) },
          { additionalProperties: false },
        ),
        response: { 200: ref(RevisionSchema) },
      },
    },
    async ({ params, query, raw }) => {
      const gone = new AbortController();
      raw.once('close', () => gone.abort());
      const hosts = await waitForRevision(operations, BigInt(params.revision), query.wait_s, gone.signal);
      return revisionView(params.revision, hosts);
    },
  );

  app.get(
    '/v1/revisions/:revision/trace',
    {
      schema: {
        tags: ['revisions'],
        summary: 'Show when a revision passed each station, from the request to the maps of each host',
        params: RevisionParams,
        response: { 200: ref(RevisionTraceSchema) },
      },
    },
    async ({ params }) => revisionTraceView(await traceOf(operations, BigInt(params.revision))),
  );
};
