// SPDX-License-Identifier: Apache-2.0
/** NATS is killed under load and comes back: every event is stored, once. */
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Pipeline, until } from '@weir/infra/pipeline';
import { report } from '../../lib/figures.ts';
import { isLong, size } from '../../lib/size.ts';
import type { Accounts } from './accounts.ts';
import { untilStored } from './bus.ts';

export const F11_HOSTS = ['f11-a', 'f11-b'] as const;
const PER_SECOND = 5_000;
const SPOOL_MIB = 256;
const RSS_MAX_MIB = SPOOL_MIB * 1.2;

const peakRssMib = (pid: number): number =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

export const natsDown = async (t: TestContext, pipeline: Pipeline, accounts: Accounts): Promise<void> => {
  const { downMs, beforeMs } = size({
    short: { downMs: 1_000, beforeMs: 500 },
    long: { downMs: 60_000, beforeMs: 10_000 },
  });
  const total = (PER_SECOND * (downMs + 2 * beforeMs)) / 1_000;
  const agents = await Promise.all(
    F11_HOSTS.map((host) =>
      pipeline.startAgent(host, { WEIR_SIM_FLOWS: String(PER_SECOND), WEIR_SIM_FLOWS_TOTAL: String(total) }),
    ),
  );
  await until('flows are stored', 60_000, async () => (await accounts.count(F11_HOSTS[0])) > 0);
  if (isLong) await sleep(beforeMs);
  await pipeline.control.nats.kill();
  await sleep(downMs);
  await pipeline.control.nats.start();
  const drainedMs = await untilStored(accounts, Object.fromEntries(F11_HOSTS.map((host) => [host, total])));
  const rssMib = Math.max(...agents.map(({ process: { pid } }) => peakRssMib(pid)));
  for (const host of F11_HOSTS) {
    const [rows, account] = await Promise.all([accounts.rows(host), accounts.account(host)]);
    report(
      t,
      'F11',
      {
        host,
        down_s: downMs / 1000,
        emitted: total,
        stored: rows.rows,
        lost: account.lost.spool,
        duplicates: rows.rows - rows.distinct,
        rss_mib: Math.round(rssMib),
        drained_s: (drainedMs / 1000).toFixed(1),
      },
      [
        ['0 events lost', rows.distinct === total && account.lost.spool === 0],
        ['0 duplicate rows', rows.rows === rows.distinct],
        ['no sum counts twice', rows.edgePackets === rows.packets],
        [`agents take at most ${RSS_MAX_MIB} MiB`, rssMib <= RSS_MAX_MIB],
        ['drained in 60 s', !isLong || drainedMs <= 60_000],
      ],
    );
  }
  await pipeline.stopAgents();
};
