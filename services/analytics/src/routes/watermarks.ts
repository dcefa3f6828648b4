// SPDX-License-Identifier: Apache-2.0
import { Cursors, type HttpApp, PAGE_LIMIT_DEFAULT, pageOf, pageQuery, ref } from '@weir/http';
import type pg from 'pg';
import { type Static, Type } from 'typebox';
import { type RunState, readRuns } from '../store/runs.ts';
import { WatermarkSchema } from './schemas.ts';

const WatermarksQuery = Type.Object(
  {
    ...pageQuery,
    host: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 63 }), { maxItems: 1_000 })),
    boots: Type.Optional(
      Type.Union([Type.Literal('newest'), Type.Literal('all')], {
        default: 'newest',
        description: 'all: every run of the agent that is known, newest first',
      }),
    ),
  },
  { additionalProperties: false },
);

const WATERMARKS = new Cursors('watermarks', Type.Tuple([Type.String(), Type.Integer({ minimum: 0 })]));

const watermarkView = (run: RunState): Static<typeof WatermarkSchema> => ({
  host: run.host,
  boot: run.boot,
  committed_seq: run.committedSeq,
  committed_at: run.committedAt?.toISOString() ?? null,
  stored: run.stored,
  produced: run.produced,
  lost_ring: run.lostRing,
  lost_spool: run.lostSpool,
  lost_throttle: run.lostThrottle,
  published: run.published,
  next_seq: run.nextSeq,
  reported_at: run.reportedAt?.toISOString() ?? null,
  gaps: [...run.gaps],
  losses: run.losses.map(({ from, to, ...numbers }) => ({
    ...numbers,
    from: from?.toISOString() ?? null,
    to: to?.toISOString() ?? null,
  })),
});

export const watermarkRoutes = (app: HttpApp, pool: pg.Pool): void => {
  app.get(
    '/v1/watermarks',
    {
      schema: {
        operationId: 'listWatermarks',
        tags: ['accounting'],
        summary: 'Per host: up to where its flows are stored, what was produced, stored and lost',
        querystring: WatermarksQuery,
        response: { 200: pageOf(ref(WatermarkSchema)) },
      },
    },
    async ({ query }) => {
      const { limit = PAGE_LIMIT_DEFAULT, cursor, host: hosts, boots } = query;
      const scope = { hosts, boots };
      const [host, boot] = WATERMARKS.decode(cursor, scope) ?? [];
      const after = host === undefined || boot === undefined ? undefined : { host, boot };
      const runs = await readRuns(pool, { all: boots === 'all', hosts, after, limit: limit + 1 });
      return WATERMARKS.page(runs, limit, watermarkView, (run) => [run.host, run.boot], scope);
    },
  );
};
