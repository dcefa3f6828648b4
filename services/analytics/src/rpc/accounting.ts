// SPDX-License-Identifier: Apache-2.0
/** weir.analytics.v1.AccountingService. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { weirError } from '@weir/errors';
import { AccountingService, AccountKind, type AccountSchema } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { implement, type Registered } from '@weir/rpc';
import type pg from 'pg';
import { type Account, readAccounts, watermarkAgeS } from '../store/accounting.ts';

/** As many as REST takes. */
const HOSTS_MAX = 1_000;

const KIND = { flow: AccountKind.FLOW, process: AccountKind.PROCESS } as const;

const accountMessage = (account: Account): MessageInitShape<typeof AccountSchema> => {
  const { watermark, reportedAt } = account;
  const ageS = watermarkAgeS(account);
  return {
    host: account.host,
    kind: KIND[account.kind],
    runs: BigInt(account.runs),
    produced: BigInt(account.produced),
    stored: BigInt(account.stored),
    lost: {
      throttle: BigInt(account.lostThrottle),
      ring: BigInt(account.lostRing),
      spool: BigInt(account.lostSpool),
      deadLetter: BigInt(account.deadLetter),
    },
    onItsWay: BigInt(account.onItsWay),
    watermark: {
      boot: BigInt(watermark.boot),
      ...(watermark.seq === null ? {} : { seq: BigInt(watermark.seq) }),
      ...(watermark.at === null ? {} : { at: timestampFromDate(watermark.at) }),
      ...(ageS === null ? {} : { ageS: BigInt(ageS) }),
    },
    ...(reportedAt === null ? {} : { reportedAt: timestampFromDate(reportedAt) }),
    gaps: account.gaps.map(({ boot, first, last }) => ({
      boot: BigInt(boot),
      first: BigInt(first),
      last: BigInt(last),
    })),
  };
};

export const accountingService = (pool: pg.Pool): Registered =>
  implement(AccountingService, {
    listAccounts: async ({ hosts }) => {
      if (hosts.length > HOSTS_MAX) {
        throw weirError('INVALID_ARGUMENT', `hosts names more than ${HOSTS_MAX} hosts`, {
          field: 'hosts',
          value: hosts.length,
          fix: 'ask in several calls',
        });
      }
      const accounts = await readAccounts(pool, hosts.length === 0 ? undefined : hosts);
      return { accounts: accounts.map(accountMessage) };
    },
  });
