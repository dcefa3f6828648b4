// SPDX-License-Identifier: Apache-2.0
/** GET /v1/policies/suggest: documents that allow what was observed. */
import { type HttpApp, LINES_RESPONSE, readerSignal, sendLines } from '@weir/http';
import { Type } from 'typebox';
import type { Operations } from '../operations/context.ts';
import {
  MAX_PREFIXES_DEFAULT,
  MAX_PREFIXES_MOST,
  MIN_FLOWS_DEFAULT,
  type SuggestEvent,
  suggest,
} from '../operations/suggest.ts';
import { suggestionView } from './simulation-view.ts';

async function* shown(events: AsyncIterable<SuggestEvent>): AsyncGenerator<object> {
  for await (const event of events) yield suggestionView(event);
}

export const suggestionRoutes = (app: HttpApp, operations: Operations): void => {
  app.get(
    '/v1/policies/suggest',
    {
      schema: {
        operationId: 'suggest',
        tags: ['policies'],
        summary: 'Documents that allow what was observed of some workloads, and nothing else',
        description:
          'Made of the stored flows of a time range that were not refused, named by labels that replicas share, by few prefixes ' +
          'and ports; read by the parser and judged by the engine before they are told. One JSON document per line: `progress`, ' +
          '`document` ({key, text, observed, covered}), then one `summary`; `error` ({problem}) in its place when it broke.',
        querystring: Type.Object(
          {
            selector: Type.Optional(
              Type.String({ minLength: 1, maxLength: 1_000, description: 'Of workloads: app=web,tier!=db' }),
            ),
            namespace: Type.Optional(Type.String({ minLength: 1, maxLength: 63 })),
            since: Type.Optional(Type.String({ maxLength: 40, description: 'RFC 3339, or how long ago (1h, 7d)' })),
            until: Type.Optional(Type.String({ maxLength: 40, description: 'Default: now' })),
            min_flows: Type.Optional(
              Type.Integer({
                minimum: 1,
                default: MIN_FLOWS_DEFAULT,
                description: 'What was seen less often, of one peer and port, is left out and counted',
              }),
            ),
            staged: Type.Optional(
              Type.Boolean({ default: false, description: 'Documents that are judged and refuse nothing yet' }),
            ),
            max_prefixes: Type.Optional(
              Type.Integer({
                minimum: 1,
                maximum: MAX_PREFIXES_MOST,
                default: MAX_PREFIXES_DEFAULT,
                description: 'For the outside addresses of one port; what lies closest is joined',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: LINES_RESPONSE,
      },
    },
    async ({ query }, reply) => {
      const { min_flows: minFlows = MIN_FLOWS_DEFAULT, max_prefixes: maxPrefixes = MAX_PREFIXES_DEFAULT } = query;
      const { selector, namespace, since, until, staged = false } = query;
      const request = { selector, namespace, since, until, minFlows, maxPrefixes, staged };
      const signal = readerSignal(reply);
      await sendLines(reply, shown(suggest(operations, request, signal)), signal);
    },
  );
};
