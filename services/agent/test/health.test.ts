// SPDX-License-Identifier: Apache-2.0
/** The health mesh with real ICMP and TCP, on addresses of the loopback interface: three hosts in one process. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import type { ConfigEntry } from '@weir/bus';
import { ping } from '@weir/loader';
import { needKernel } from '@weir/loader/testing';
import { ConfigDocumentSchema } from '@weir/proto/weir/bus/v1/config_pb.js';
import { FAILURES, isUnreachable, PathBook, type Summary } from '../src/health/book.ts';
import { HealthMesh } from '../src/health/mesh.ts';
import type { Measured, TargetKind } from '../src/health/round.ts';

const measured = (host: string, latencyUs: number | undefined, target: TargetKind = 'host', atMs = 1): Measured => ({
  ...{ host, target, address: `${target} of ${host}`, kind: 'icmp', latencyUs, atMs },
  error: latencyUs === undefined ? 'no answer' : '',
});

test('a path is unreachable after three rounds without an answer, and well with the first answer', () => {
  const book = new PathBook();
  book.record([measured('b', 100), measured('c', 200)]);
  for (let round = 1; round <= FAILURES; round++) {
    assert.equal(book.summary().unreachableHosts, 0, `after ${round - 1} rounds`);
    book.record([measured('b', undefined), measured('c', 200)]);
  }
  const { paths, ...counts } = book.summary();
  assert.deepEqual(counts, {
    ...{ hosts: 2, unreachableHosts: 1, endpoints: 0, unreachableEndpoints: 0 },
    ...{ probesTotal: 2, unreachableProbes: 1 },
  });
  assert.deepEqual([paths[0]?.host, paths[0]?.latencyUs, paths[0]?.failures], ['b', 100, 3], 'failing first');
  book.record([measured('b', 90)]);
  assert.deepEqual([book.summary().unreachableHosts, book.summary().hosts], [0, 1], 'who left is no longer told');
});

test('a host that answers does not hide that its health endpoint is out of reach, nor the other way round', () => {
  const book = new PathBook();
  const counts = () => {
    const { hosts, unreachableHosts, endpoints, unreachableEndpoints } = book.summary();
    return [hosts, unreachableHosts, endpoints, unreachableEndpoints];
  };
  const round = (...answers: [host: number | undefined, endpoint: number | undefined]): void =>
    book.record([measured('b', answers[0]), measured('b', answers[1], 'endpoint'), measured('c', 9)]);
  for (let i = 0; i < FAILURES; i++) round(100, undefined);
  assert.deepEqual(counts(), [2, 0, 1, 1]);
  assert.deepEqual(book.counts('icmp', 'endpoint'), { reachable: 0, unreachable: 1 });
  assert.deepEqual(book.counts('icmp', 'host'), { reachable: 2, unreachable: 0 });
  for (let i = 0; i < FAILURES; i++) round(undefined, 100);
  assert.deepEqual(counts(), [2, 1, 1, 0]);
});

test('a report is bounded, whatever the fleet, and begins with what fails', () => {
  const book = new PathBook();
  const fleet = Array.from({ length: 3_000 }, (_, i) => measured(`h${i}`, i % 500 === 0 ? undefined : i));
  book.record(fleet);
  const { paths, probesTotal } = book.summary();
  assert.deepEqual([paths.length, probesTotal], [1_000, 3_000]);
  assert.ok(paths.slice(0, 6).every(({ error }) => error !== ''));
});

const entry = (kind: 'host' | 'network', key: string, body: object): ConfigEntry => ({
  ...{ subject: `weir.v1.cfg.${kind}.${key}`, kind, key, removed: false, signed: new Uint8Array() },
  document: create(ConfigDocumentSchema, { body: { case: kind, value: body } as never }),
});

const meshes: HealthMesh[] = [];
after(async () => {
  for (const mesh of meshes) await mesh.stop();
});

test('hosts find each other, see who is gone and that he is back', { skip: needKernel() }, async () => {
  const second = 100 + (process.pid % 100);
  const address = (i: number) => `127.${second}.7.${i}`;
  const port = 20_000 + (process.pid % 20_000);
  // Nobody has delta's address, which is set aside for documents.
  const addresses = { alpha: address(1), beta: address(2), gamma: address(3), delta: '192.0.2.99' };
  const documents = [
    ...Object.entries(addresses).map(([id, underlayIp4]) => entry('host', id, { id, underlayIp4 })),
    entry('network', 'fleet', { health: { enabled: true, baseIntervalS: 1, port } }),
  ];
  const seen = new Map<string, Summary>();
  const startMesh = (host: string): HealthMesh => {
    const mesh = new HealthMesh({
      host,
      ping,
      onRound: (summary) => seen.set(host, summary),
      onTrouble: (what, cause) => assert.fail(`${what}: ${cause}`),
    });
    mesh.reset(documents);
    mesh.start();
    meshes.push(mesh);
    return mesh;
  };
  const waitFor = async (what: string, fits: (summary: Summary) => boolean): Promise<Summary> => {
    const deadline = performance.now() + 120_000;
    for (;;) {
      const summary = seen.get('alpha');
      if (summary && fits(summary)) return summary;
      if (performance.now() > deadline) assert.fail(`${what}: ${JSON.stringify(summary)}`);
      await new Promise((done) => setTimeout(done, 50));
    }
  };
  const of = (summary: Summary, host: string, kind: string) =>
    summary.paths.find((path) => path.host === host && path.kind === kind);

  startMesh('alpha');
  startMesh('beta');
  const gamma = startMesh('gamma');
  const first = await waitFor('all but delta', (summary) =>
    ['beta', 'gamma'].every((host) => ['icmp', 'tcp'].every((kind) => of(summary, host, kind)?.error === '')),
  );
  assert.ok((of(first, 'beta', 'icmp')?.latencyUs ?? 0) >= 1);
  const without = await waitFor('delta to be unreachable', ({ unreachableHosts }) => unreachableHosts === 1);
  assert.ok(without.paths.filter(({ host }) => host === 'delta').every(isUnreachable));

  await gamma.stop();
  const gone = await waitFor('gamma to be gone', (summary) => (of(summary, 'gamma', 'tcp')?.failures ?? 0) >= FAILURES);
  assert.equal(of(gone, 'gamma', 'icmp')?.error, '', 'its address answers, its agent does not');
  assert.equal(of(gone, 'beta', 'tcp')?.error, '');
  startMesh('gamma');
  await waitFor('gamma to be back', (summary) => of(summary, 'gamma', 'tcp')?.error === '');
});

test('hosts that others depend on are asked every second, also when the mesh is off', {
  skip: needKernel(),
}, async () => {
  const address = (i: number) => `127.${100 + (process.pid % 100)}.8.${i}`;
  const hosts = (delta: string) => [
    ...Object.entries({ alpha: address(1), beta: address(2), delta }).map(([id, underlayIp4]) =>
      entry('host', id, { id, underlayIp4 }),
    ),
    entry('network', 'fleet', { health: { enabled: false } }),
  ];
  let changes = 0;
  let rounds = 0;
  const mesh = new HealthMesh({
    host: 'alpha',
    ping,
    onRound: () => rounds++,
    onWatched: () => changes++,
    onTrouble: (what, cause) => assert.fail(`${what}: ${cause}`),
  });
  meshes.push(mesh);
  const waitFor = async (unreachable: readonly string[]): Promise<void> => {
    const deadline = performance.now() + 120_000;
    while (unreachable.join() !== [...mesh.unreachable].join()) {
      if (performance.now() > deadline) assert.fail(`${unreachable} and not ${[...mesh.unreachable]}`);
      await new Promise((done) => setTimeout(done, 50));
    }
  };
  mesh.reset(hosts('192.0.2.99'));
  mesh.start();
  mesh.watch(new Set(['beta', 'delta']));
  await waitFor(['delta']);
  mesh.reset(hosts(address(3)));
  await waitFor([]);
  mesh.reset(hosts('192.0.2.99'));
  await waitFor(['delta']);
  mesh.watch(new Set());
  await waitFor([]);
  assert.deepEqual([changes, rounds], [4, 0]);
});
