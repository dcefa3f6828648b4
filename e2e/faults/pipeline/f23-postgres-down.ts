// SPDX-License-Identifier: Apache-2.0
/** Postgres crashes under load and comes back: the APIs say so at once, and every event is stored, once. */
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Pipeline, until } from '@weir/infra/pipeline';
import { report } from '../../lib/figures.ts';
import { isLong, size } from '../../lib/size.ts';
import type { Accounts } from './accounts.ts';
import { untilStored } from './bus.ts';

export const F23_HOST = 'f23';
const PER_SECOND = 5_000;
/** Nobody waits longer than this for an answer. */
const HANG_MS = 20_000;
const ASK_MAX_MS = 300_000;

interface Answer {
  readonly atMs: number;
  readonly tookMs: number;
  readonly status: number;
  readonly retryAfter: string | null;
}

/** Asks until stopped; an answer that never comes is status 0. */
const askForever = (url: string, init: RequestInit = {}): (() => Promise<Answer[]>) => {
  const answers: Answer[] = [];
  let asking = true;
  // Whatever becomes of the test, the asking ends.
  const until = performance.now() + ASK_MAX_MS;
  const loop = (async () => {
    while (asking && performance.now() < until) {
      const atMs = performance.now();
      try {
        const response = await fetch(url, { ...init, signal: AbortSignal.timeout(HANG_MS) });
        await response.arrayBuffer();
        const retryAfter = response.headers.get('retry-after');
        answers.push({ atMs, tookMs: performance.now() - atMs, status: response.status, retryAfter });
      } catch {
        answers.push({ atMs, tookMs: performance.now() - atMs, status: 0, retryAfter: null });
      }
      await sleep(20);
    }
  })();
  return async () => {
    asking = false;
    await loop;
    return answers;
  };
};

export const postgresDown = async (t: TestContext, pipeline: Pipeline, accounts: Accounts): Promise<void> => {
  const { control } = pipeline;
  const downMs = size({ short: 2_000, long: 60_000 });
  const total = (PER_SECOND * (downMs + 1_000)) / 1_000;
  const { inventory, policy, analytics } = control.urls;
  await pipeline.startAgent(F23_HOST, {
    WEIR_SIM_FLOWS: String(PER_SECOND),
    WEIR_SIM_FLOWS_TOTAL: String(total),
  });
  await until('flows are stored', 60_000, async () => (await accounts.count(F23_HOST)) > 0);
  const stops = [
    askForever(`${inventory}/v1/hosts`),
    askForever(`${policy}/v1/policies`),
    askForever(`${analytics}/v1/flows?limit=1`),
    askForever(`${inventory}/v1/namespaces/f23`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ labels: { row: 'f23' } }),
    }),
  ];
  await sleep(300);
  const downAt = performance.now();
  await control.postgres.kill();
  await sleep(downMs);
  const upAt = performance.now();
  await control.postgres.start();
  const drainedMs = await untilStored(accounts, { [F23_HOST]: total });
  await until('the APIs work again', 30_000, async () => {
    const all = await Promise.all(
      [`${inventory}/readyz`, `${policy}/readyz`, `${analytics}/readyz`].map((u) => fetch(u)),
    );
    return all.every(({ ok }) => ok);
  });
  const answers = (await Promise.all(stops.map((stop) => stop()))).flat();
  const during = answers.filter(({ atMs }) => atMs > downAt && atMs < upAt);
  const refused = answers.filter(({ status }) => status === 503);
  const slowestMs = Math.max(...during.map(({ tookMs }) => tookMs));
  const rows = await accounts.rows(F23_HOST);
  const other = answers.filter(({ status }) => status >= 500 && status !== 503);
  report(
    t,
    'F23',
    {
      down_s: downMs / 1000,
      answers: answers.length,
      s503: refused.length,
      other_5xx: other.length,
      hangs: answers.filter(({ status }) => status === 0).length,
      slowest_ms: Math.round(slowestMs),
      emitted: total,
      stored: rows.rows,
      drained_s: (drainedMs / 1000).toFixed(1),
    },
    [
      ['503 while Postgres is away', during.length > 0 && refused.length > 0],
      ['0 hangs', answers.every(({ status }) => status > 0)],
      ['0 other 5xx', other.length === 0],
      ['each with Retry-After <= 1', refused.every(({ retryAfter }) => retryAfter === '1')],
      ['answered in 1 s', !isLong || slowestMs <= 1_000],
      ['0 events lost', rows.distinct === total],
      ['0 stored twice', rows.rows === rows.distinct && rows.edgePackets === rows.packets],
      ['drained in 60 s', !isLong || drainedMs <= 60_000],
    ],
  );
  await pipeline.stopAgents();
};
