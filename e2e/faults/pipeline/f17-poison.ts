// SPDX-License-Identifier: Apache-2.0
/** One event among many that Postgres always refuses: tried, set aside once with the reason, and nobody else suffers. */
import type { TestContext } from 'node:test';
import { type Pipeline, until } from '@weir/infra/pipeline';
import { report } from '../../lib/figures.ts';
import { isLong, size } from '../../lib/size.ts';
import type { Accounts } from './accounts.ts';
import { asHost, send, untilStored } from './bus.ts';

export const F17_HOSTS = ['f17-clean', 'f17-mixed'] as const;
const POISON_RULE = 666;
const DELIVERIES = 5;
const BATCH = 100;

export const poison = async (t: TestContext, pipeline: Pipeline, accounts: Accounts): Promise<void> => {
  const count = size({ short: 10_000, long: 500_000 });
  const [clean, mixed] = F17_HOSTS;
  const sendAll = async (host: string, poisonAt: number | undefined): Promise<number> => {
    const bus = await asHost(pipeline.control, host);
    const startedAt = performance.now();
    for (let seq = 1; seq <= count; seq += BATCH) {
      await send(bus, host, seq, BATCH);
      if (poisonAt !== undefined && seq <= poisonAt && poisonAt < seq + BATCH) {
        await send(bus, host, 10 * count, 1, { ruleId: POISON_RULE });
      }
    }
    await untilStored(accounts, { [host]: count });
    await bus.close();
    return count / ((performance.now() - startedAt) / 1000);
  };
  await accounts.refuseRule(POISON_RULE);
  try {
    const cleanRate = await sendAll(clean, undefined);
    const mixedRate = await sendAll(mixed, count / 2);
    await until('it is set aside', 60_000, async () => (await accounts.deadLetters(mixed)).length > 0);
    const letters = await accounts.deadLetters(mixed);
    const rows = await accounts.rows(mixed);
    const drop = 1 - mixedRate / cleanRate;
    report(
      t,
      'F17',
      {
        others: rows.rows,
        dead_letters: letters.length,
        deliveries: letters[0]?.deliveries ?? 0,
        per_s: Math.round(mixedRate),
        per_s_without: Math.round(cleanRate),
      },
      [
        ['exactly one dead letter', letters.length === 1],
        ['after 5 deliveries', letters[0]?.deliveries === DELIVERIES],
        ['with the reason', /test_refuses/.test(letters[0]?.reason ?? '')],
        ['all others stored once', rows.rows === count && rows.distinct === count],
        ['throughput drops by 10 % at most', !isLong || drop <= 0.1],
      ],
    );
  } finally {
    await accounts.refuseRule(undefined);
  }
};
