// SPDX-License-Identifier: Apache-2.0
import { type HttpApp, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, pageOf, pageQuery, ref } from '@weir/http';
import { Type } from 'typebox';
import { flowView } from '../domain/flow-view.ts';
import { type FlowApiDeps, listFlows } from '../flow-api.ts';
import { FlowSchema, flowFilter } from './schemas.ts';

const ListQuery = Type.Object(
  {
    ...flowFilter,
    // Without a default in the schema: a number of flows may also be asked for by `last`.
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: PAGE_LIMIT_MAX,
        description: `Flows per page; ${PAGE_LIMIT_DEFAULT} by default`,
      }),
    ),
    cursor: pageQuery.cursor,
  },
  { additionalProperties: false },
);

export const flowRoutes = (app: HttpApp, deps: FlowApiDeps): void => {
  app.get(
    '/v1/flows',
    {
      schema: {
        operationId: 'listFlows',
        tags: ['flows'],
        summary: 'Stored flows, newest first',
        description:
          'Values of a repeated parameter are alternatives; different parameters must all hold. A page may hold fewer ' +
          'flows than asked for although more match: go on with next_cursor until it is null.',
        querystring: ListQuery,
        response: { 200: pageOf(ref(FlowSchema)) },
      },
    },
    async ({ query }) => {
      const { limit, cursor, last, ...params } = query;
      const { flows, next } = await listFlows(deps, { params: lists(params), last, limit, cursor });
      return { items: flows.map((flow) => flowView(flow, deps.directory)), next_cursor: next };
    },
  );
};

type Lists<Q> = { readonly [Key in keyof Q]: readonly string[] | undefined };

/** since and until are single, all else lists. */
export const lists = <Q extends Readonly<Record<string, string | readonly string[] | undefined>>>(query: Q): Lists<Q> =>
  Object.fromEntries(
    Object.entries(query).map(([key, value]) => [key, typeof value === 'string' ? [value] : value]),
  ) as Lists<Q>;
