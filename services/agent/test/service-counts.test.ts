// SPDX-License-Identifier: Apache-2.0
/** What is told of services: changes, now and then everything, and never more than a bounded number of them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ServiceCount } from '../src/apply/ports.ts';
import type { FrontendPlace } from '../src/plan/frontend-places.ts';
import { OTHERS, ServiceCounter } from '../src/report/service-counts.ts';

const count = (frontend: number, backend: number, connections: bigint): ServiceCount => ({
  ...{ frontend, backend, connections, packets: 0n, bytes: connections * 100n, flowHits: 0n, flowMisses: 0n },
  ...{ noBackend: 0n, denied: 0n, open: 0 },
});

const counterOf = (rows: () => readonly ServiceCount[], places = new Map<number, FrontendPlace>()) => {
  const clock = { nowMs: 1_000 };
  const port = { readCounts: async () => rows(), tidyCounts: async () => {} };
  return { clock, counter: new ServiceCounter({ port, places: () => places, nowMs: () => clock.nowMs }) };
};

describe('counts of services', () => {
  it('are told when they have changed, and once a minute', async () => {
    let rows = [count(1, 1, 5n)];
    const { clock, counter } = counterOf(() => rows);
    assert.equal(counter.toTell()?.counts.length, 0, 'an agent that began anew says so');
    assert.equal(counter.toTell(), undefined);
    await counter.read();
    assert.equal(counter.toTell()?.counts.length, 1);
    assert.equal(counter.toTell(), undefined);
    clock.nowMs += 60_000;
    assert.equal(counter.toTell()?.counts.length, 1);
    rows = [count(1, 1, 6n)];
    await counter.read();
    assert.equal(counter.toTell()?.counts[0]?.connections, 6n);
  });

  it('of more than a thousand those that were asked most, and how many are left out', async () => {
    const rows = Array.from({ length: 1_200 }, (_, i) => count(i + 1, 1, BigInt(i)));
    const places = new Map(rows.map(({ frontend }) => [frontend, { service: `shop.s${frontend}`, text: '' }]));
    const { counter } = counterOf(() => rows, places);
    await counter.read();
    const told = counter.toTell();
    assert.deepEqual([told?.counts.length, told?.leftOut, told?.counts[0]?.frontend], [1_000, 200, 1_200]);
    const sums = counter.services;
    assert.equal(sums.size, 1_000);
    assert.equal(
      [...sums.values()].reduce((sum, { connections }) => sum + connections, 0n),
      rows.reduce((sum, { connections }) => sum + connections, 0n),
    );
    assert.equal(sums.get(OTHERS)?.connections, (200n * 201n) / 2n);
  });

  it('are summed by service over its frontends and backends', async () => {
    const places = new Map([1, 2, 3].map((i) => [i, { service: i < 3 ? 'shop.web' : 'shop.db', text: '' }]));
    const { counter } = counterOf(
      () => [count(1, 1, 1n), count(1, 2, 2n), count(2, 1, 4n), count(3, 0, 8n), count(9, 1, 16n)],
      places,
    );
    await counter.read();
    assert.deepEqual(
      [...counter.services].map(([name, { connections, bytes }]) => [name, connections, bytes]),
      [
        ['shop.web', 7n, 700n],
        ['shop.db', 8n, 800n],
      ],
    );
  });
});
