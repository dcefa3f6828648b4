// SPDX-License-Identifier: Apache-2.0
/** The whole stream three times in any order gives what one ordered delivery gives, to the checksum. */
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DUPLICATE_WINDOW_MS } from '@weir/bus';
import type { Pipeline } from '@weir/infra/pipeline';
import { report } from '../../lib/figures.ts';
import { size } from '../../lib/size.ts';
import type { Accounts } from './accounts.ts';
import { asHost, asService, send, setWindow, untilStored } from './bus.ts';

export const F18_HOSTS = ['f18-ordered', 'f18-shuffled'] as const;
const BATCH = 200;
const ROUNDS = 3;
/** The shortest that the bus takes: it recognises nothing of the round before. */
const WINDOW_MS = 100;

/** The same order in every run. */
const shuffled = (items: readonly number[], round: number): number[] =>
  [...items].sort((a, b) => ((a * 7_919 + round * 31) % 1_009) - ((b * 7_919 + round * 31) % 1_009));

export const duplicates = async (t: TestContext, pipeline: Pipeline, accounts: Accounts): Promise<void> => {
  const count = size({ short: 10_000, long: 200_000 });
  const [ordered, mixed] = F18_HOSTS;
  const timeMs = Date.now() - 60_000;
  const firsts = Array.from({ length: count / BATCH }, (_, i) => 1 + i * BATCH);
  const operator = await asService(pipeline.control, 'analytics');
  const [one, other] = await Promise.all(F18_HOSTS.map((host) => asHost(pipeline.control, host)));
  await setWindow(operator, WINDOW_MS);
  for (const first of firsts) await send(one as never, ordered, first, BATCH, { timeMs });
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(shuffled(firsts, round).map((first) => send(other as never, mixed, first, BATCH, { timeMs })));
    await sleep(3 * WINDOW_MS);
  }
  await untilStored(accounts, { [ordered]: count, [mixed]: count });
  await pipeline.settled();
  await setWindow(operator, DUPLICATE_WINDOW_MS);
  const [wanted, got, rows] = await Promise.all([
    accounts.checksum(ordered),
    accounts.checksum(mixed),
    accounts.rows(mixed),
  ]);
  report(t, 'F18', { flows: count, sent: count * ROUNDS, rows: rows.rows, same_checksum: String(wanted === got) }, [
    ['the checksum of one ordered delivery', wanted === got],
    ['each row once', rows.rows === count && rows.distinct === count],
  ]);
  await Promise.all([operator, one, other].map((bus) => bus?.close()));
};
