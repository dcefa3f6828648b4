// SPDX-License-Identifier: Apache-2.0
/** Hits per rule: decisions are counted once, whatever is delivered twice; packets and bytes of all that names the rule. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { RuleHitService } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { createRpcClient } from '@weir/rpc';
import { startService, type TestService, until } from './support/app.ts';
import { BOOT, batchBytes, flowInit } from './support/flows.ts';

let service: TestService;
before(async () => {
  service = await startService();
});
after(() => service?.stop());

test('a connection is one hit, so is a refusal; a message that comes again adds nothing', async () => {
  const nowMs = Math.floor(Date.now() / 1000) * 1000;
  const client = createRpcClient(RuleHitService, service.app.grpc);
  const first = [
    flowInit(0, nowMs - 60_000, { ruleId: 21 }),
    flowInit(0, nowMs - 50_000, { ruleId: 21, report: 3, packets: 10n, bytes: 1_000n }),
    flowInit(1, nowMs - 50_000, { ruleId: 21, report: 1, isReply: true }),
    flowInit(0, nowMs - 40_000, { ruleId: 22, verdict: 2, dropReason: 133, report: 6 }),
    flowInit(0, nowMs - 40_000, { ruleId: 0, pendingVerdict: 2, pendingRuleId: 24 }),
  ];
  const later = [
    flowInit(0, nowMs - 90_000, { ruleId: 21 }),
    flowInit(0, nowMs - 10_000, { ruleId: 22, verdict: 2, dropReason: 133, report: 6 }),
  ];
  await service.send('hits', batchBytes(BOOT, 1, first), `hits:${BOOT}:1`);
  await until('the first', async () => (await service.stored('hits')) === 5);
  // Cut differently: all but the first come again.
  await service.send('hits', batchBytes(BOOT, 2, [...first.slice(1), ...later]), `hits:${BOOT}:2`);
  await until('the second', async () => (await service.stored('hits')) === 7);
  const { hits, countedSince } = await client.batchGetRuleHits({ ids: [21, 22, 23, 24] });
  client.close();
  assert.deepEqual(
    hits.map(({ ruleId, hits: count, packets, bytes, firstHit, lastHit }) => [
      ...[ruleId, count, packets, bytes],
      ...[firstHit, lastHit].map((time) => time && Math.round((timestampMs(time) - nowMs) / 1000)),
    ]),
    [
      [21, 2n, 19n, 1_540n, -90, -50],
      [22, 2n, 6n, 360n, -40, -10],
      [24, 1n, 3n, 180n, -40, -40],
    ],
  );
  assert.ok(countedSince && timestampMs(countedSince) <= Date.now());
});
