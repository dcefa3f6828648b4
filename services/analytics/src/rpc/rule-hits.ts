// SPDX-License-Identifier: Apache-2.0
/** weir.analytics.v1.RuleHitService. */
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { weirError } from '@weir/errors';
import { RuleHitService } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { implement, type Registered } from '@weir/rpc';
import type pg from 'pg';
import { readRuleHits } from '../store/rule-hits.ts';

const IDS_MAX = 1_000;
const INT4_MAX = 2 ** 31 - 1;

export const ruleHitService = (pool: pg.Pool): Registered =>
  implement(RuleHitService, {
    batchGetRuleHits: async ({ ids }) => {
      if (ids.length > IDS_MAX) {
        throw weirError('INVALID_ARGUMENT', `ids names more than ${IDS_MAX} rules`, {
          field: 'ids',
          value: ids.length,
          fix: 'ask in several calls',
        });
      }
      const { since, rules } = await readRuleHits(
        pool,
        ids.filter((id) => id <= INT4_MAX),
      );
      return {
        countedSince: timestampFromDate(since),
        hits: rules.map(({ firstHit, lastHit, ...rule }) => ({
          ...rule,
          firstHit: timestampFromDate(firstHit),
          lastHit: timestampFromDate(lastHit),
        })),
      };
    },
  });
