// SPDX-License-Identifier: Apache-2.0
/** What the demo's workloads can reach, asked for by real sockets inside them through the `shop` container. */
import assert from 'node:assert/strict';
import type { Engine } from './engine.ts';
import { compose, type Say } from './run.ts';

const PROBES_MS = 120_000;

/** What infra/demo/policy.yaml allows, and what it does not; without it everything is answered. */
const PAIRS = [
  { from: 'client', to: 'web', port: 80, allowed: true },
  { from: 'api', to: 'db', port: 5432, allowed: true },
  { from: 'client', to: 'db', port: 5432, allowed: false },
  { from: 'web', to: 'db', port: 5432, allowed: false },
] as const;

interface Outcome {
  readonly from: string;
  readonly to: string;
  readonly protocol: string;
  readonly port: number;
  readonly family: 4 | 6;
  readonly outcome: string;
}

const inShop = (engine: Engine, program: string, ...words: string[]): Promise<string> =>
  compose(engine, PROBES_MS, 'exec', '-T', 'shop', 'node', `infra/compose/${program}.ts`, ...words);

/** By `FROM -> TO`, what sockets of both families said: answered, timeout, ECONNREFUSED ... */
export const probe = async (engine: Engine): Promise<ReadonlyMap<string, readonly string[]>> => {
  const outcomes = (await inShop(engine, 'probe', 'all'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Outcome)
    .filter(({ protocol }) => protocol === 'tcp');
  return new Map(
    PAIRS.map(({ from, to, port }) => [
      `${from} -> ${to}`,
      outcomes.filter((o) => o.from === from && o.to === to && o.port === port).map(({ outcome }) => outcome),
    ]),
  );
};

export const checkPairs = async (engine: Engine, say: Say, when: string): Promise<void> => {
  const outcomes = await probe(engine);
  for (const { from, to, allowed } of PAIRS) {
    const pair = `${from} -> ${to}`;
    const wanted = allowed ? 'answered' : 'timeout';
    assert.deepEqual(outcomes.get(pair), [wanted, wanted], `${when}: ${pair}, IPv4 and IPv6`);
  }
  say(`  ${when}: client -> web, api -> db answered; client -> db, web -> db refused; IPv4 and IPv6`);
};

interface Report {
  readonly connected: number;
  readonly sent: number;
  readonly answered: number;
  readonly unsent: number;
  readonly refused: number;
  readonly lost: number;
  readonly resets: number;
  readonly lastError: string;
}

/** Connections that stay and new ones all the time, from api (h1) to db (h2), while `doing` goes on. */
export const underTraffic = async (engine: Engine, say: Say, doing: () => Promise<void>): Promise<void> => {
  await inShop(engine, 'traffic', 'start', 'api', 'db', '5432');
  await doing();
  const { held, opened } = JSON.parse(await inShop(engine, 'traffic', 'stop', 'api')) as Record<
    'held' | 'opened',
    Report
  >;
  const text = JSON.stringify({ held, opened });
  assert.ok(held.connected === 10 && held.resets === 0 && held.lost === 0, `connections that stayed: ${text}`);
  assert.ok(opened.sent > 100 && opened.answered === opened.sent, `new connections: ${text}`);
  assert.equal(opened.unsent + opened.refused + opened.lost, 0, `new connections: ${text}`);
  say(
    `  meanwhile: ${held.answered} messages on ${held.connected} connections, 0 resets; ${opened.answered} of ${opened.sent} new ones answered`,
  );
};
