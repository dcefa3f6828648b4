// SPDX-License-Identifier: Apache-2.0
/** Counts of services in the kernel's maps: all CPUs together, backends that go, and connections that nobody saw end. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import {
  backend,
  nat_key,
  service,
  service_count,
  service_count_key,
  service_key,
  service_load,
  service_nat,
  service_turn,
  weir_service_nat_flags,
  weir_service_turn_flags,
} from '@weir/bpf';
import { objectPath } from '@weir/bpf/objects';
import { type BpfMap, type BpfObject, openObject } from '@weir/loader';
import { needKernel } from '@weir/loader/testing';
import { parseIp } from '@weir/net';
import { COUNTS_PAST, readCounts, tidyCounts } from '../../src/apply/kernel/service-counts.ts';
import { u32Bytes } from '../../src/apply/kernel/service-keys.ts';

describe('counts of services', { skip: needKernel() }, () => {
  let object: BpfObject;
  let uplinks: BpfObject;
  let clients: BpfObject;
  const map = (name: string): BpfMap => object.map(name);
  before(async () => {
    object = await openObject(objectPath('socket'), { maxEntries: { conntrack: 1024, events: 1 << 16 } });
    uplinks = await openObject(objectPath('frontend'), { maxEntries: { conntrack: 1024, events: 1 << 16 } });
    clients = await openObject(objectPath('client'), { maxEntries: { conntrack: 1024, events: 1 << 16 } });
  });
  after(() => {
    object?.close();
    uplinks?.close();
    clients?.close();
  });
  beforeEach(async () => {
    for (const name of ['services', 'backends', 'service_counts', 'service_loads', 'service_unseen', 'service_open']) {
      const { keys, count } = await map(name).lookupAll();
      await map(name).deleteBatch(keys.subarray(0, count * map(name).keySize), count);
    }
  });

  const frontend = (number: number): void => {
    const key = service_key.encode({ addr: parseIp('10.96.0.1'), port: number, protocol: 6, scope: 0 });
    const counts = { active: 0, terminating: 0, affinity_timeout_s: 0, maglev: 0, maglev_place: 0 };
    map('services').update(
      key,
      service.encode({ frontend: number, service: 1, flags: 0, table: number * 4, ...counts }),
    );
  };
  const exists = (number: number): void => {
    const value = { addr: parseIp(`10.0.0.${number}`), port: 80, protocol: 6, flags: 0, host: 0 };
    map('backends').update(u32Bytes(number), backend.encode(value));
  };
  /** So many on each CPU. */
  const counted = (front: number, to: number, connections: bigint): number => {
    const { valueStride } = map('service_counts');
    const bytes = Buffer.alloc(valueStride);
    const rest = { packets: 2n, bytes: 3n, flow_hits: 0n, flow_misses: 0n, no_backend: 0n, denied: 0n };
    for (let at = 0; at < valueStride; at += service_count.size)
      service_count.encode({ connections, ...rest }, bytes, at);
    map('service_counts').update(service_count_key.encode({ frontend: front, backend: to }), bytes);
    return valueStride / service_count.size;
  };
  const shown = async (): Promise<string[]> =>
    (await readCounts(map))
      .map(({ frontend: front, backend: to, connections, bytes }) => `${front} ${to} ${connections} ${bytes}`)
      .sort();

  it('adds up all CPUs, and keeps the sum of backends that go', async () => {
    frontend(1);
    exists(11);
    const cpus = BigInt(counted(1, 11, 5n));
    counted(1, 12, 7n);
    counted(1, 0, 1n);
    counted(2, 11, 9n);
    const before = [`1 0 ${cpus} ${cpus * 3n}`, `1 11 ${5n * cpus} ${cpus * 3n}`];
    assert.deepEqual(await shown(), [...before, `1 12 ${7n * cpus} ${cpus * 3n}`, `2 11 ${9n * cpus} ${cpus * 3n}`]);
    await tidyCounts(map, {});
    const past = (sum: bigint, bytes: bigint): string => `1 ${COUNTS_PAST} ${sum * cpus} ${bytes * cpus}`;
    assert.deepEqual(await shown(), [...before, past(7n, 3n)], 'the frontend 2 is gone with all that it had');
    counted(1, 13, 1n);
    await tidyCounts(map, {});
    assert.deepEqual(await shown(), [...before, past(8n, 6n)]);
    await tidyCounts(map, {});
    assert.deepEqual(await shown(), [...before, past(8n, 6n)], 'nothing is added twice');
  });

  it('takes up connections that the LRU forgot, and those of sockets and mappings that are there', async () => {
    frontend(1);
    for (const number of [11, 12]) {
      exists(number);
      counted(1, number, 1n);
    }
    const load = (number: number, begun: bigint, ended: bigint): void =>
      map('service_loads').update(u32Bytes(number), service_load.encode({ begun, ended }));
    load(11, 9n, 2n);
    load(12, 6n, 3n);
    load(99, 8n, 1n);
    const cookie = Buffer.alloc(8);
    for (let i = 1n; i <= 3n; i++) {
      cookie.writeBigUInt64LE(i);
      map('service_open').update(cookie, u32Bytes(11));
    }
    const half = (port: number, to: number, flags: number): void => {
      const [local, remote] = [parseIp('192.0.2.1'), parseIp('192.0.2.2')];
      const key = { local, remote, local_port: 80, remote_port: port, protocol: 6, family: 4 };
      const value = { addr: local, port: 80, flags, backend: to, frontend: 1, service: 1 };
      uplinks.map('service_nat').update(nat_key.encode(key), service_nat.encode(value));
    };
    half(1, 12, weir_service_nat_flags.HALF_COUNTED);
    half(2, 12, 0);
    const turn = (port: number, bits: number, flags: number): void => {
      const [local, remote] = [parseIp('10.1.0.1'), parseIp('192.0.2.2')];
      const key = { local, remote, local_port: port, remote_port: 80, protocol: 6, family: 4 };
      const [source_port, destination_port] = [port, 80];
      const value = { source: local, destination: remote, source_port, destination_port, flags, checked_ns: 1n };
      const bytes = nat_key.encode(key);
      bytes.writeUInt16LE(bits, nat_key.size - 2);
      clients.map('service_turns').update(bytes, service_turn.encode({ ...value, backend: 12, frontend: 1 }));
    };
    turn(1, 0, weir_service_turn_flags.TURN_COUNTED);
    turn(1, 1, 0);
    turn(2, 0, 0);
    const open = async (): Promise<Record<number, number>> =>
      Object.fromEntries((await readCounts(map)).map((one) => [one.backend, one.open]));
    assert.deepEqual(await open(), { 11: 7, 12: 3 });
    await tidyCounts(map, { halves: uplinks.map('service_nat'), turns: clients.map('service_turns') });
    assert.deepEqual(await open(), { 11: 3, 12: 2 });
    assert.equal(map('service_loads').lookup(u32Bytes(99)), undefined, 'of a backend that is gone');
    load(11, 10n, 2n);
    assert.deepEqual(await open(), { 11: 4, 12: 2 }, 'what begins counts as before');
  });
});
