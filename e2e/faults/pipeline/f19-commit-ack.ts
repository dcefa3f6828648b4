// SPDX-License-Identifier: Apache-2.0
/** The store is killed between its commit and its acknowledgement, again and again: what comes again changes nothing. */
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DUPLICATE_WINDOW_MS } from '@weir/bus';
import type { Pipeline } from '@weir/infra/pipeline';
import { report } from '../../lib/figures.ts';
import { isLong, size } from '../../lib/size.ts';
import type { Accounts } from './accounts.ts';
import { asHost, asService, send, setWindow, untilStored } from './bus.ts';

export const F19_HOST = 'f19';
const BATCH = 100;
const BATCHES = 10;
const WINDOW_MS = 100;

export const killedBeforeAck = async (t: TestContext, pipeline: Pipeline, accounts: Accounts): Promise<void> => {
  const { analytics } = pipeline.control.services;
  const kills = size({ short: 2, long: 50 });
  const [operator, host] = await Promise.all([
    asService(pipeline.control, 'analytics'),
    asHost(pipeline.control, F19_HOST),
  ]);
  await setWindow(operator, WINDOW_MS);
  let sent = 0;
  let killed = 0;
  for (let round = 0; round < kills; round++) {
    await analytics.stop();
    await analytics.start({ WEIR_ANALYTICS_FAILPOINT: 'flows.committed' });
    const firsts = Array.from({ length: BATCHES }, (_, i) => sent + 1 + i * BATCH);
    for (const first of firsts) await send(host, F19_HOST, first, BATCH);
    sent += BATCH * BATCHES;
    const { signal } = await analytics.process.exited;
    if (signal === 'SIGKILL') killed += 1;
    // As agents do that hear of no commit; the bus itself repeats what was not acknowledged 30 s later.
    await sleep(2 * WINDOW_MS);
    for (const first of firsts) await send(host, F19_HOST, first, BATCH);
    await analytics.start();
  }
  await untilStored(accounts, { [F19_HOST]: sent });
  // What the killed ones held, the bus repeats 30 s later.
  if (isLong) await pipeline.settled();
  await setWindow(operator, DUPLICATE_WINDOW_MS);
  const rows = await accounts.rows(F19_HOST);
  report(t, 'F19', { at: 'commit-ack', kills: killed, sent, rows: rows.rows, duplicates: rows.rows - rows.distinct }, [
    ['killed between commit and acknowledgement every time', killed === kills],
    ['0 lost', rows.distinct === sent],
    ['0 duplicate rows', rows.rows === rows.distinct && rows.edgePackets === rows.packets],
  ]);
  await Promise.all([operator.close(), host.close()]);
};
