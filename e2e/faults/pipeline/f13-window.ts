// SPDX-License-Identifier: Apache-2.0
/** An outage longer than the bus remembers message ids: the stream holds repetitions, the tables do not. */
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { STREAM } from '@weir/bus';
import { type Pipeline, until } from '@weir/infra/pipeline';
import { report } from '../../lib/figures.ts';
import { size } from '../../lib/size.ts';
import type { Accounts } from './accounts.ts';
import { asService, setWindow, untilStored } from './bus.ts';

export const F13_HOST = 'f13';
const TOTAL = 20_000;

export const beyondWindow = async (t: TestContext, pipeline: Pipeline, accounts: Accounts): Promise<void> => {
  const { control } = pipeline;
  const { windowMs, downMs } = size({
    short: { windowMs: 500, downMs: 1_500 },
    long: { windowMs: 120_000, downMs: 130_000 },
  });
  // Nothing is committed, so nothing of what the bus acknowledges is released.
  await control.services.analytics.stop();
  const operator = await asService(control, 'analytics');
  await setWindow(operator, windowMs);
  const inStream = async () => (await operator.jsm.streams.info(STREAM.EVENTS)).state.messages;
  const before = await inStream();
  const agent = await pipeline.startAgent(F13_HOST, {
    WEIR_SIM_FLOWS: '20000',
    WEIR_SIM_FLOWS_TOTAL: String(TOTAL),
  });
  let published = 0;
  await until('all is acknowledged', 60_000, async () => {
    const { flows } = await agent.ask<{ flows: { spool: { published: number | string } } }>('/status');
    published = Number(flows.spool.published);
    return published === TOTAL;
  });
  const once = (await inStream()) - before;
  await control.nats.kill();
  await sleep(downMs);
  await control.nats.start();
  let repeated = 0;
  await until('the agent has sent all again', 120_000, async () => {
    repeated = (await inStream()) - before - once;
    return repeated >= once;
  });
  await operator.close();
  await control.services.analytics.start();
  await untilStored(accounts, { [F13_HOST]: TOTAL });
  await pipeline.settled();
  const rows = await accounts.rows(F13_HOST);
  report(
    t,
    'F13',
    { window_s: windowMs / 1000, down_s: downMs / 1000, messages: once, repeated, rows: rows.rows, flows: TOTAL },
    [
      ['the stream holds repetitions', repeated >= once],
      ['each row once', rows.rows === TOTAL && rows.distinct === TOTAL],
      ['no sum counts twice', rows.edgePackets === rows.packets],
    ],
  );
  await pipeline.stopAgents();
};
