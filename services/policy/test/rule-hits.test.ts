// SPDX-License-Identifier: Apache-2.0
/** Rules in force with their hits: page by page, those that were not used for a while, and nothing said of what nobody counted. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { createDb } from '@weir/db';
import { RuleHitService } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { createRpcServer, implement, type RpcServer } from '@weir/rpc';
import { SCHEMA } from '../src/app.ts';
import { type Harness, networkPolicy, startHarness, WEB } from './support/harness.ts';

const HOUR_MS = 3_600_000;
const nowMs = Date.now();
let countedMs = nowMs - 100 * HOUR_MS;
const lastMs = new Map<number, number>();
let harness: Harness;
let analytics: RpcServer;

const service = implement(RuleHitService, {
  batchGetRuleHits: async ({ ids }) => ({
    countedSince: timestampFromMs(countedMs),
    hits: ids.flatMap((ruleId) => {
      const at = lastMs.get(ruleId);
      if (at === undefined) return [];
      return [
        { ruleId, hits: 3n, packets: 9n, bytes: 540n, firstHit: timestampFromMs(at), lastHit: timestampFromMs(at) },
      ];
    }),
  }),
});

interface Item {
  readonly rule: { readonly id: number; readonly path: string };
  readonly hits: number;
  readonly last_hit_at: string | null;
}

before(async () => {
  analytics = await createRpcServer({ services: [service], port: 0 });
  harness = await startHarness({ analyticsGrpc: analytics.address });
  for (const name of ['a', 'b', 'c']) await harness.apply(networkPolicy(name, WEB));
  // As if they had been applied two days ago.
  const db = createDb({ url: harness.database.url, schema: SCHEMA });
  await db.pool.query(`update policy_revisions set made_at = now() - interval '48 hours'`);
  await db.close();
});
after(async () => {
  await harness?.stop();
  await analytics?.close();
});

const list = async (query: string): Promise<{ items: Item[]; next_cursor: string | null }> => {
  const { status, body } = await harness.call<{ items: Item[]; next_cursor: string | null }>(
    'GET',
    `/v1/rules/hits${query}`,
  );
  assert.equal(status, 200, JSON.stringify(body));
  return body;
};

test('each rule in force has its hits; pages hold all of them once', async () => {
  const { items } = await list('');
  assert.equal(items.length, 6);
  const [first] = items.map(({ rule }) => rule.id) as [number];
  lastMs.set(first, nowMs - HOUR_MS);
  const again = (await list('?policy=NetworkPolicy/prod/a')).items;
  assert.deepEqual(
    again.map(({ hits, last_hit_at: at }) => [hits, at]),
    [
      [3, new Date(nowMs - HOUR_MS).toISOString()],
      [0, null],
    ],
  );
  const ids: number[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page = await list(`?limit=4${cursor ? `&cursor=${cursor}` : ''}`);
    ids.push(...page.items.map(({ rule }) => rule.id));
    cursor = page.next_cursor;
  }
  assert.deepEqual(
    ids,
    items.map(({ rule }) => rule.id),
  );
});

test('unused: in force, counted, and not hit for as long', async () => {
  const [first, second] = (await list('')).items.map(({ rule }) => rule.id) as [number, number];
  lastMs.set(second, nowMs - 30 * HOUR_MS);
  const unused = async (duration: string, limit = 100): Promise<number> => {
    const { items } = await list(`?unused_for=${duration}&limit=${limit}`);
    assert.ok(items.every(({ rule }) => rule.id !== first));
    return items.length;
  };
  assert.deepEqual([await unused('24h'), await unused('40h'), await unused('50h')], [5, 4, 0]);
  assert.equal(await unused('24h', 2), 2);
  countedMs = nowMs - 10 * HOUR_MS;
  assert.equal(await unused('24h'), 1, 'what was hit is known; of the others nobody knows what was before');
});
