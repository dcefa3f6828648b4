// SPDX-License-Identifier: Apache-2.0
/** F23 on the scale of one service: the database goes and comes back. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '@weir/db';
import { isWeirError } from '@weir/errors';
import { HostService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { createRpcClient } from '@weir/rpc';
import { eventually, type Harness, startHarness } from './harness.ts';

const dir = mkdtempSync(join(tmpdir(), `weir-outage-${process.pid}-`));
/** The server is killed, not the machine: what was committed is in the system's cache. */
const KEEPS = { volatile: true, settings: { synchronous_commit: 'on' } };
let postgres: EmbeddedPostgres;
let weir: Harness;

before(async () => {
  postgres = await startEmbeddedPostgres({ dir, ...KEEPS });
  weir = await startHarness({ WEIR_INVENTORY_DATABASE_URL: await postgres.ensureDatabase('weir') });
  assert.equal((await weir.call('POST', '/v1/hosts', { name: 'alpha' })).status, 201);
});
after(async () => {
  await weir.stop();
  await postgres.stop();
  rmSync(dir, { recursive: true, force: true });
});

test('without its database the API answers 503 with Retry-After within a second, then works again', async () => {
  await postgres.stop('immediate');
  for (const [method, path, body] of [
    ['GET', '/v1/hosts', undefined],
    ['GET', '/v1/workloads/default.x', undefined],
    ['GET', '/v1/identities', undefined],
    ['POST', '/v1/hosts', { name: 'beta' }],
    ['POST', '/v1/workloads', { name: 'x', host: 'alpha' }],
    ['PUT', '/v1/namespaces/x', { labels: {} }],
    ['DELETE', '/v1/hosts/alpha', undefined],
    ['GET', '/readyz', undefined],
  ] as const) {
    const start = performance.now();
    const answer = await weir.call(method, path, body);
    const tookMs = performance.now() - start;
    assert.deepEqual(
      [answer.status, answer.body.code, answer.headers.get('retry-after')],
      [503, 'UNAVAILABLE', '1'],
      `${method} ${path}`,
    );
    assert.ok(tookMs < 1_000, `${method} ${path} took ${tookMs} ms`);
    assert.doesNotMatch(JSON.stringify(answer.body), /postgres:\/\//);
  }
  const rpc = createRpcClient(HostService, weir.app.grpc ?? '');
  await assert.rejects(
    rpc.getHost({ id: 'alpha' }),
    (error) => isWeirError(error) && error.code === 'UNAVAILABLE' && error.facts.retryAfterS === 1,
  );
  rpc.close();
  assert.equal((await weir.call('GET', '/healthz')).status, 200, 'alive, not ready');
  assert.equal((await fetch(`${weir.app.http}/metrics`)).status, 200);
  assert.equal((await weir.call('POST', '/v1/hosts', { name: 'Beta' })).status, 422, 'what is wrong needs no database');

  postgres = await startEmbeddedPostgres({ dir, ...KEEPS, port: postgres.port });
  await eventually('the API', async () =>
    (await weir.call('GET', '/v1/hosts/alpha')).status === 200 ? true : undefined,
  );
  assert.equal((await weir.call('POST', '/v1/hosts', { name: 'beta' })).status, 201);
  await eventually('publishing', async () => ((await weir.call('GET', '/readyz')).status === 200 ? true : undefined));
});
