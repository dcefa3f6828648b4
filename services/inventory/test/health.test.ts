// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { subjects } from '@weir/bus';
import { HealthService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { createRpcClient } from '@weir/rpc';
import { eventually, type Harness, HOSTS, startHarness } from './harness.ts';

let weir: Harness;
before(async () => {
  weir = await startHarness();
  for (const name of HOSTS) await weir.call('POST', '/v1/hosts', { name });
});
after(() => weir.stop());

const probe = (host: string, failures: number) => ({
  ...{ host, address: '192.0.2.1', kind: 'icmp', target: 'host', latencyUs: 250, failures },
  error: failures === 0 ? '' : 'no answer\0',
  probedMs: BigInt(Date.now()),
});

test('reports become a matrix, by filter and page; a host speaks for itself only', async () => {
  for (const from of HOSTS) {
    const agent = await weir.agent(from);
    const others = HOSTS.filter((host) => host !== from);
    const report = {
      ...{ boot: 1n, intervalS: 60, hosts: 2, probesTotal: 2 },
      unreachableHosts: from === 'alpha' ? 1 : 0,
      ...{ endpoints: 2, unreachableEndpoints: from === 'beta' ? 2 : 0 },
      unreachableProbes: from === 'alpha' ? 1 : 0,
      probes: others.map((host) => probe(host, from === 'alpha' && host === 'gamma' ? 3 : 0)),
    };
    // Forged: in another's name.
    if (from === 'beta') {
      const forged = subjects.health.encode({ ...report, probes: [probe('beta', 9)] });
      agent.nc.publish(subjects.health.build({ host: 'alpha' }), forged);
    }
    agent.nc.publish(subjects.health.build({ host: from }), subjects.health.encode(report));
  }
  const { items } = await eventually('all reports', async () => {
    const { body } = await weir.call('GET', '/v1/health');
    return body.items.length === 6 ? body : undefined;
  });
  assert.deepEqual(
    items.map(({ from, to, status }: Record<string, string>) => `${from} ${to} ${status}`),
    [
      'alpha beta reachable',
      'alpha gamma unreachable',
      'beta alpha reachable',
      'beta gamma reachable',
      'gamma alpha reachable',
      'gamma beta reachable',
    ],
  );
  const { body: bad } = await weir.call('GET', '/v1/health?status=unreachable');
  assert.deepEqual(
    [bad.items.length, bad.items[0].error, bad.items[0].failures, bad.items[0].latency_us],
    [1, 'no answer', 3, 250],
  );
  assert.equal((await weir.call('GET', '/v1/health?to=gamma')).body.items.length, 2);
  assert.equal((await weir.call('GET', '/v1/health?from=beta')).body.items.length, 2);
  const paged: unknown[] = [];
  let cursor: string | null = null;
  do {
    const { body } = await weir.call('GET', `/v1/health?limit=1${cursor === null ? '' : `&cursor=${cursor}`}`);
    paged.push(...body.items);
    cursor = body.next_cursor;
  } while (cursor !== null);
  assert.deepEqual(paged, items);
  assert.equal((await weir.call('GET', '/v1/health?status=down')).body.field, 'status');
  const { body: hosts } = await weir.call('GET', '/v1/health/hosts');
  assert.deepEqual(
    hosts.items.map((item: Record<string, unknown>) => [
      ...[item.host, item.unreachable_hosts, item.endpoints, item.unreachable_endpoints, item.stale],
    ]),
    [
      ['alpha', 1, 2, 0, false],
      ['beta', 0, 2, 2, false],
      ['gamma', 0, 2, 0, false],
    ],
  );
  const metrics = await (await fetch(`${weir.app.http}/metrics`)).text();
  assert.match(metrics, /^weir_inventory_unreachable_hosts 1$/m);
  assert.match(metrics, /^weir_inventory_unreachable_health_endpoints 2$/m);
});

test('gRPC lists the same', async () => {
  const client = createRpcClient(HealthService, weir.app.grpc ?? '');
  try {
    const { paths } = await client.listHealth({ status: 'unreachable' });
    assert.deepEqual(
      paths.map(({ from, to, error }) => [from, to, error]),
      [['alpha', 'gamma', 'no answer']],
    );
    const { hosts } = await client.listHostHealth({});
    assert.deepEqual(
      hosts.map(({ unreachableEndpoints }) => unreachableEndpoints),
      [0, 2, 0],
    );
    await assert.rejects(client.listHealth({ status: 'down' }), /not known/);
  } finally {
    client.close();
  }
});
