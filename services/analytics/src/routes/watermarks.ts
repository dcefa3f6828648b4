// SPDX-License-Identifier: Apache-2.0
import { type HttpApp, ref } from '@weir/http';
import type pg from 'pg';
import { Type } from 'typebox';
import { readRuns } from '../store/runs.ts';
import { WatermarkSchema } from './schemas.ts';

const WatermarksQuery = Type.Object(
  {
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

export const watermarkRoutes = (app: HttpApp, pool: pg.Pool): void => {
  app.get(
    '/v1/watermarks',
    {
      schema: {
        operationId: 'listWatermarks',
        tags: ['accounting'],
        summary: 'Per host: up to where its flows are stored, what was produced, stored and lost',
        querystring: WatermarksQuery,
        response: { 200: Type.Object({ items: Type.Array(ref(WatermarkSchema)) }) },
      },
    },
    async ({ query }) => {
      const runs = await readRuns(pool, { all: query.boots === 'all', hosts: query.host });
      return {
        items: runs.map((run) => ({
          host: run.host,
          boot: run.boot,
          committed_seq: run.committedSeq,
          committed_at: run.committedAt?.toISOString() ?? null,
          stored: run.stored,
          produced: run.produced,
          lost_ring: run.lostRing,
          lost_spool: run.lostSpool,
          published: run.published,
          next_seq: run.nextSeq,
          reported_at: run.reportedAt?.toISOString() ?? null,
          gaps: [...run.gaps],
        })),
      };
    },
  );
};
