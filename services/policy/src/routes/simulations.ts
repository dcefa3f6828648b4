// SPDX-License-Identifier: Apache-2.0
/** POST /v1/policies/simulate: what documents would change for traffic that was recorded. */
import { type HttpApp, LINES_RESPONSE, readerSignal, sendLines } from '@weir/http';
import { Type } from 'typebox';
import type { Operations } from '../operations/context.ts';
import { LIMIT_DEFAULT, LIMIT_MAX, type SimulationEvent, simulate } from '../operations/simulate.ts';
import { DOCUMENTS_BODY, documentsOf } from './document-bodies.ts';
import { simulationView } from './simulation-view.ts';

const REMOVE_MAX_LENGTH = 8_000;

async function* shown(events: AsyncIterable<SimulationEvent>): AsyncGenerator<object> {
  for await (const event of events) yield simulationView(event);
}

/** In a scope that reads bodies as text. */
export const simulationRoutes = (app: HttpApp, operations: Operations): void => {
  app.post(
    '/v1/policies/simulate',
    {
      schema: {
        operationId: 'simulate',
        tags: ['policies'],
        summary: 'What the documents would change for the flows that were recorded',
        description:
          'Judges the stored flows of a time range by what is in force and by what would be, with the engine that hosts enforce ' +
          'with. One JSON document per line: `progress` ({done, flows}), then `change`, what is newly denied first, then one ' +
          '`summary`; `error` ({problem}) in its place when it broke. Whoever hangs up ends it.',
        querystring: Type.Object(
          {
            since: Type.Optional(
              Type.String({
                maxLength: 40,
                description: 'RFC 3339, or how long ago (1h, 7d); default: all that is stored',
              }),
            ),
            until: Type.Optional(Type.String({ maxLength: 40, description: 'Default: now' })),
            remove: Type.Optional(
              Type.String({
                minLength: 1,
                maxLength: REMOVE_MAX_LENGTH,
                description: 'Keys of documents as if they were deleted, separated by commas',
              }),
            ),
            staged: Type.Optional(
              Type.Boolean({
                default: false,
                description: 'As if staged documents, those in force too, were in place',
              }),
            ),
            limit: Type.Optional(
              Type.Integer({
                minimum: 1,
                maximum: LIMIT_MAX,
                default: LIMIT_DEFAULT,
                description: 'Changes that are told one by one; all are counted',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        body: DOCUMENTS_BODY,
        response: LINES_RESPONSE,
      },
    },
    async ({ body, query }, reply) => {
      const { text, sources } = documentsOf(body);
      const { since, until, remove, staged = false, limit = LIMIT_DEFAULT } = query;
      const removed = remove?.split(',').map((key) => key.trim()) ?? [];
      const request = { documents: text, sources, remove: removed, since, until, staged, limit };
      const signal = readerSignal(reply);
      await sendLines(reply, shown(simulate(operations, request, signal)), signal);
    },
  );
};
