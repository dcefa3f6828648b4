// SPDX-License-Identifier: Apache-2.0
/** What clients asked of services: hosts tell it in heartbeats, REST and gRPC show it joined with names. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { subjects } from '@weir/bus';
import { LoadBalancerService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { createRpcClient } from '@weir/rpc';
import { eventually, type Harness, startHarness } from './harness.ts';

let weir: Harness;
before(async () => {
  weir = await startHarness();
  for (const [i, name] of ['alpha', 'beta'].entries())
    await weir.call('POST', '/v1/hosts', { name, underlay_ip4: `192.0.2.${i + 1}` });
});
after(() => weir.stop());

test('what clients asked of services comes with heartbeats: by backend, by host, and of those that are gone', async () => {
  const at = { protocol: 'TCP', address: '192.0.2.190' };
  const made = await weir.call('POST', '/v1/services', {
    name: 'counted',
    frontends: [{ type: 'external-ip', address: '203.0.113.190', port: 80, protocol: 'TCP' }],
    backends: [1, 2].map((i) => ({ ...at, port: 8000 + i })),
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const frontend = made.body.frontends[0].number;
  const [one, two] = made.body.backends.map(({ number }: { number: number }) => number);
  const say = async (
    host: string,
    ...rows: readonly (readonly [backend: number, connections: bigint, refused?: bigint])[]
  ) => {
    const bus = await weir.agent(host);
    const counts = rows.map(([backend, connections, noBackend = 0n]) => ({
      ...{ frontend, backend, connections, noBackend, packets: connections * 10n, bytes: connections * 1000n },
      ...{ flowHits: 2n, flowMisses: 1n, denied: 0n, open: 3 },
    }));
    const serviceCounts = { counts, leftOut: 0 };
    bus.nc.publish(subjects.hb.build({ host }), subjects.hb.encode({ boot: 1n, serviceCounts }));
  };
  await say('alpha', [one, 5n], [4_294_967_295, 2n], [0, 0n, 4n]);
  await say('beta', [one, 7n], [two, 2n ** 40n]);
  const stats = async (query: string, count: number) =>
    eventually(`${count} rows of ${query}`, async () => {
      const { body } = await weir.call('GET', `/v1/service-stats?service=default.counted${query}`);
      return body.items.length === count ? body.items : undefined;
    });
  const all = await stats('', 4);
  assert.deepEqual(
    all.map((row: Record<string, unknown> & { backend: { number: number } | null }) => [
      row.backend?.number ?? null,
      ...[row.past, row.connections, row.packets, row.bytes, row.no_backend, row.flow_hits, row.hosts, row.open],
    ]),
    [
      [null, false, 0, 0, 0, 4, 2, 1, 3],
      [one, false, 12, 120, 12_000, 0, 4, 2, 6],
      [two, false, 2 ** 40, 10 * 2 ** 40, 1000 * 2 ** 40, 0, 2, 1, 3],
      [null, true, 2, 20, 2000, 0, 2, 1, 3],
    ],
  );
  assert.equal((await stats('&by_host=true', 5)).filter(({ host }: { host: string }) => host === 'beta').length, 2);
  assert.equal((await stats('&host=alpha', 3))[1].connections, 5);
  const first = (await weir.call('GET', '/v1/service-stats?service=default.counted&by_host=true&limit=2')).body;
  const cursor = encodeURIComponent(first.next_cursor);
  const next = (
    await weir.call('GET', `/v1/service-stats?service=default.counted&by_host=true&limit=9&cursor=${cursor}`)
  ).body;
  assert.equal(first.items.length + next.items.length, 5);
  const rpc = createRpcClient(LoadBalancerService, weir.app.grpc ?? '');
  try {
    const { stats: rows } = await rpc.listServiceStats({ service: 'default.counted', byHost: false });
    assert.deepEqual(
      rows.map(({ backend, past, connections }) => [backend?.number, past, connections]),
      [
        [undefined, false, 0n],
        [one, false, 12n],
        [two, false, 2n ** 40n],
        [undefined, true, 2n],
      ],
    );
  } finally {
    rpc.close();
  }
  await say('beta');
  await stats('', 3);
  const { status, body } = await weir.call('GET', '/v1/service-stats?service=default.nobody');
  assert.deepEqual([status, body.code], [404, 'NOT_FOUND']);
});
