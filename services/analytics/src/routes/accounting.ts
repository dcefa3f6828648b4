// SPDX-License-Identifier: Apache-2.0
import { type HttpApp, ref } from '@weir/http';
import type pg from 'pg';
import { Type } from 'typebox';
import { readAccounts, watermarkAgeS } from '../store/accounting.ts';
import { AccountSchema } from './schemas.ts';

const AccountingQuery = Type.Object(
  { host: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 63 }), { maxItems: 1_000 })) },
  { additionalProperties: false },
);

export const accountingRoutes = (app: HttpApp, pool: pg.Pool): void => {
  app.get(
    '/v1/accounting',
    {
      schema: {
        operationId: 'listAccounts',
        tags: ['accounting'],
        summary: 'Per host and kind of event, over all runs of its agent: what became of every event',
        querystring: AccountingQuery,
        response: { 200: Type.Object({ items: Type.Array(ref(AccountSchema)) }) },
      },
    },
    async ({ query }) => {
      const accounts = await readAccounts(pool, query.host);
      return {
        items: accounts.map((account) => ({
          host: account.host,
          kind: account.kind,
          runs: account.runs,
          produced: account.produced,
          stored: account.stored,
          lost: {
            throttle: account.lostThrottle,
            ring: account.lostRing,
            spool: account.lostSpool,
            dead_letter: account.deadLetter,
          },
          on_its_way: account.onItsWay,
          watermark: {
            boot: account.watermark.boot,
            seq: account.watermark.seq,
            at: account.watermark.at?.toISOString() ?? null,
            age_s: watermarkAgeS(account),
          },
          reported_at: account.reportedAt?.toISOString() ?? null,
          gaps: [...account.gaps],
        })),
      };
    },
  );
};
