// SPDX-License-Identifier: Apache-2.0
/** NATS is away for longer than the spools last: what had to be shed is known to the event, and it is what passed. */
import type { TestContext } from 'node:test';
import { type Pipeline, until } from '@weir/infra/pipeline';
import { report } from '../../lib/figures.ts';
import { isLong, size } from '../../lib/size.ts';
import type { Accounts } from './accounts.ts';

const HOSTS = ['f12-a', 'f12-b'];
const MIB = 1 << 20;
/** Each tenth flow was refused. */
const REFUSED_EVERY = 10;

export const F12_HOSTS = HOSTS;

interface Status {
  readonly flows: { readonly next_seq: number; readonly spool: { readonly lost: number; readonly bytes: number } };
}

export const spoolOverflow = async (t: TestContext, pipeline: Pipeline, accounts: Accounts): Promise<void> => {
  const { control } = pipeline;
  const { perSecond, total, spoolBytes } = size({
    short: { perSecond: 20_000, total: 150_000, spoolBytes: 4 * MIB },
    long: { perSecond: 5_000, total: 400_000, spoolBytes: 8 * MIB },
  });
  const agents = await Promise.all(
    HOSTS.map((host) =>
      pipeline.startAgent(host, {
        WEIR_AGENT_SPOOL_MAX_BYTES: String(spoolBytes),
        WEIR_SIM_FLOWS: String(perSecond),
        WEIR_SIM_FLOWS_TOTAL: String(total),
        WEIR_SIM_REFUSED_EVERY: String(REFUSED_EVERY),
      }),
    ),
  );
  await until('flows are stored', 30_000, async () => (await accounts.count(HOSTS[0] as string)) > 0);
  await control.nats.kill();
  const statuses = () => Promise.all(agents.map(({ ask }) => ask<Status>('/status')));
  await until('all flows are made', 300_000, async () =>
    (await statuses()).every(({ flows }) => Number(flows.next_seq) > total),
  );
  const during = await statuses();
  await control.nats.start();
  const startedAt = performance.now();
  let seen = '';
  await until(
    'what is not lost is stored',
    120_000,
    async () => {
      const all = await Promise.all(HOSTS.map((host) => accounts.account(host)));
      seen = JSON.stringify(all);
      return all.every((one) => one.produced === total && one.stored + one.lost.spool === total);
    },
    () => seen,
  );
  const drainedMs = performance.now() - startedAt;
  for (const [i, host] of HOSTS.entries()) {
    const [rows, account, runs] = await Promise.all([accounts.rows(host), accounts.account(host), accounts.runs(host)]);
    const losses = runs.flatMap((run) => run.losses);
    const shown = {
      intervals: losses.length,
      lost: losses.reduce((sum, { lost }) => sum + lost, 0),
      refused: losses.reduce((sum, { refused }) => sum + refused, 0),
      from: losses.at(-1)?.from ?? null,
    };
    report(
      t,
      'F12',
      {
        host,
        emitted: total,
        stored: rows.rows,
        lost: account.lost.spool,
        refused: rows.refused,
        spool: Math.round((during[i]?.flows.spool.bytes ?? 0) / MIB),
        intervals: shown.intervals,
        drained_s: (drainedMs / 1000).toFixed(1),
      },
      [
        ['something had to be shed', account.lost.spool > 0],
        ['emitted = stored + reported lost', rows.rows + account.lost.spool === total],
        ['each stored once', rows.distinct === rows.rows],
        ['all that was refused is stored', rows.refused === Math.floor(total / REFUSED_EVERY)],
        ['the API shows where', shown.lost === account.lost.spool && shown.refused === 0 && shown.intervals === 1],
        ['and when', shown.from !== null],
        ['no gap is left open', runs.every(({ gaps }) => gaps.length === 0)],
        ['drained in 60 s', !isLong || drainedMs <= 60_000],
        ['the spool stays in its bound', (during[i]?.flows.spool.bytes ?? 0) <= spoolBytes],
      ],
    );
  }
  await pipeline.stopAgents();
};
