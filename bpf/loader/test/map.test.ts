// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  type BpfMap,
  type BpfObject,
  createInner,
  createMap,
  MAP_TYPE,
  openMapById,
  openObject,
  UPDATE,
} from '../src/index.ts';
import { needKernel } from '../src/testing.ts';
import { compile, own, u32, u64 } from './helper.ts';

const skip = needKernel();
let object: BpfObject;

before(async () => {
  if (!skip) object = await openObject(compile('maps'));
});

after(() => object?.close());

const numbers = (count: number, from = 0): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => u32(from + i)));
const values = (count: number): Buffer => Buffer.concat(Array.from({ length: count }, (_, i) => u64(i * 10)));

const asEntries = async (map: BpfMap): Promise<Map<number, bigint>> => {
  const all = await map.lookupAll();
  assert.equal(all.keys.length, all.count * 4);
  return new Map(
    Array.from({ length: all.count }, (_, i) => [all.keys.readUInt32LE(i * 4), all.values.readBigUInt64LE(i * 8)]),
  );
};

test('a map knows its shape', { skip }, () => {
  const map = object.map('plain');
  assert.deepEqual(
    [map.name, map.type, map.typeName, map.keySize, map.valueSize, map.maxEntries, map.reused],
    ['plain', MAP_TYPE.HASH, 'hash', 4, 8, 10_000, false],
  );
  assert.ok(map.id > 0 && map.fd > 2);
  assert.deepEqual(
    ['.rodata', 'lru', 'outer', 'outer_array', 'percpu_hash', 'percpu_slots', 'plain', 'queue', 'slots', 'trie'],
    [...object.maps.keys()].sort(),
  );
});

test('hash: single elements', { skip }, () => {
  const map = object.map('plain');
  assert.equal(map.lookup(u32(1)), undefined);
  map.update(u32(1), u64(11n));
  assert.equal(map.lookup(u32(1))?.readBigUInt64LE(), 11n);
  assert.throws(() => map.update(u32(1), u64(2), UPDATE.NOEXIST), { code: 'KERNEL', message: /map 'plain'.*EEXIST/ });
  assert.throws(() => map.update(u32(2), u64(2), UPDATE.EXIST), { code: 'KERNEL', message: /ENOENT/ });
  assert.equal(map.pop(u32(1))?.readBigUInt64LE(), 11n);
  assert.equal(map.delete(u32(1)), false);
  map.update(u32(1), u64(1));
  assert.equal(map.delete(u32(1)), true);
});

test('keys and values of a wrong size never reach the kernel', { skip }, async () => {
  const map = object.map('plain');
  assert.throws(() => map.lookup(u64(1)), { code: 'INVALID_ARGUMENT', message: /key must have 4 bytes/ });
  assert.throws(() => map.update(u32(1), u32(1)), { code: 'INVALID_ARGUMENT', message: /value must have 8 bytes/ });
  await assert.rejects(map.updateBatch(numbers(2), values(1), 2), { code: 'INVALID_ARGUMENT', message: /values/ });
  await assert.rejects(map.deleteBatch(numbers(1), 2), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(map.updateBatch(Buffer.alloc(4 * 1.5), Buffer.alloc(12), 1.5), { code: 'INVALID_ARGUMENT' });
});

test('hash: batches larger than one system call', { skip }, async () => {
  const map = object.map('plain');
  await map.updateBatch(numbers(10_000), values(10_000), 10_000);
  const entries = await asEntries(map);
  assert.equal(entries.size, 10_000);
  assert.equal(entries.get(9_999), 99_990n);
  // 100 that are there, 100 that are not, 100 that are
  const mixed = Buffer.concat([numbers(100), numbers(100, 50_000), numbers(100, 200)]);
  assert.equal(await map.deleteBatch(mixed, 300), 200);
  assert.equal((await asEntries(map)).size, 9_800);
  await assert.rejects(map.updateBatch(numbers(300, 60_000), values(300), 300), {
    code: 'KERNEL',
    message: /E2BIG.*200 of 300 written/,
  });
  await assert.rejects(map.updateBatch(numbers(2, 0), values(2), 2, UPDATE.EXIST), { message: /0 of 2 written/ });
  assert.equal(await map.deleteBatch(numbers(10_000), 10_000), 9_800);
  assert.equal(await map.deleteBatch(numbers(300, 60_000), 300), 200);
  assert.equal((await map.lookupAll()).count, 0);
  await map.updateBatch(Buffer.alloc(0), Buffer.alloc(0), 0);
});

test('LRU: full maps forget the oldest', { skip }, async () => {
  const map = object.map('lru');
  await map.updateBatch(numbers(1000), values(1000), 1000);
  const { size } = await asEntries(map);
  assert.ok(size > 0 && size <= 128, String(size));
});

test('arrays: every index is there', { skip }, async () => {
  const map = object.map('slots');
  map.update(u32(63), u64(5));
  assert.throws(() => map.update(u32(64), u64(5)), { code: 'KERNEL', message: /E2BIG/ });
  const entries = await asEntries(map);
  assert.equal(entries.size, 64);
  assert.equal(entries.get(63), 5n);
  await map.updateBatch(numbers(64), values(64), 64);
  assert.equal((await asEntries(map)).get(62), 620n);
});

test('per-CPU maps have one value for each CPU', { skip }, async () => {
  for (const name of ['percpu_slots', 'percpu_hash']) {
    const map = object.map(name);
    const cpus = map.valueStride / 8;
    assert.ok(Number.isInteger(cpus) && cpus >= 1);
    const value = Buffer.concat(Array.from({ length: cpus }, (_, cpu) => u64(100 + cpu)));
    map.update(u32(2), value);
    assert.deepEqual(map.lookup(u32(2)), value);
    assert.throws(() => map.update(u32(2), cpus === 1 ? u32(1) : u64(1)), { code: 'INVALID_ARGUMENT' });
    await map.updateBatch(Buffer.concat([u32(1), u32(3)]), Buffer.concat([value, value]), 2);
    const all = await map.lookupAll();
    assert.equal(all.values.length, all.count * map.valueStride);
    const at = Array.from({ length: all.count }, (_, i) => all.keys.readUInt32LE(i * 4)).indexOf(3);
    assert.deepEqual(all.values.subarray(at * map.valueStride, (at + 1) * map.valueStride), value);
  }
});

const prefix = (a: number, b: number, c: number, d: number, bits: number): Buffer =>
  Buffer.concat([u32(bits), Buffer.of(a, b, c, d)]);

test('LPM tries: the longest prefix wins; batches', { skip }, async () => {
  const map = object.map('trie');
  map.update(prefix(10, 0, 0, 0, 8), u32(8));
  map.update(prefix(10, 1, 0, 0, 16), u32(16));
  assert.equal(map.lookup(prefix(10, 1, 2, 3, 32))?.readUInt32LE(), 16);
  assert.equal(map.lookup(prefix(10, 2, 2, 3, 32))?.readUInt32LE(), 8);
  assert.equal(map.lookup(prefix(11, 2, 2, 3, 32)), undefined);
  const keys = Array.from({ length: 5000 }, (_, i) => prefix(172, 16 + (i >> 12), (i >> 4) & 255, (i & 15) << 4, 28));
  await map.updateBatch(Buffer.concat(keys), numbers(5000), 5000);
  const all = await map.lookupAll();
  assert.equal(all.count, 5002);
  const seen = new Set(
    Array.from({ length: all.count }, (_, i) => all.keys.subarray(i * 8, i * 8 + 8).toString('hex')),
  );
  assert.equal(seen.size, 5002);
  assert.equal(await map.deleteBatch(Buffer.concat([...keys, prefix(1, 2, 3, 4, 32)]), 5001), 5000);
  assert.equal(map.delete(prefix(10, 0, 0, 0, 8)), true);
  assert.equal((await map.lookupAll()).count, 1);
});

test('queues are emptied in order', { skip }, () => {
  const map = object.map('queue');
  for (const value of [1, 2, 3]) map.update(Buffer.alloc(0), u32(value));
  assert.deepEqual(
    [map.pop()?.readUInt32LE(), map.pop()?.readUInt32LE(), map.pop()?.readUInt32LE(), map.pop()],
    [1, 2, 3, undefined],
  );
});

test('map in map: a swap is seen by the program at once; other shapes are refused', { skip }, async () => {
  const outer = object.map('outer');
  const program = object.program('read_inner');
  const read = async (): Promise<bigint> => (await program.testRun({ ctx: u64(0) })).ctxOut.readBigUInt64LE();
  assert.equal(await read(), 0n);
  const first = await createInner(outer, 'inner_one');
  first.update(u32(2), u64(111));
  outer.updateInner(u32(1), first);
  assert.equal(await read(), 111n);
  assert.equal(outer.lookupInnerId(u32(1)), first.id);

  const second = await createInner(outer, 'a_name_that_is_longer_than_the_kernel_keeps', { maxEntries: 99 });
  assert.equal(second.maxEntries, 99);
  second.update(u32(2), u64(222));
  outer.updateInner(u32(1), second);
  first.close();
  assert.equal(await read(), 222n);
  const byId = openMapById(outer.lookupInnerId(u32(1)) ?? 0);
  assert.equal(byId.lookup(u32(2))?.readBigUInt64LE(), 222n);
  byId.close();

  const wrong = await createMap({ name: 'wrong', type: MAP_TYPE.HASH, keySize: 4, valueSize: 4, maxEntries: 16 });
  assert.throws(() => outer.updateInner(u32(1), wrong), { code: 'KERNEL', message: /EINVAL/ });
  assert.throws(() => object.map('plain').updateInner(u32(1), wrong), { code: 'KERNEL', message: /EINVAL/ });
  await assert.rejects(createInner(object.map('plain'), 'x'), { code: 'KERNEL', message: /inner maps is not known/ });
  assert.equal(outer.delete(u32(1)), true);
  assert.equal(await read(), 0n);
  wrong.close();
  second.close();
  assert.equal(second.closed, true);
  assert.throws(() => second.lookup(u32(1)), { code: 'KERNEL', message: /EBADF/ });
  second.close();
});

test('created maps: frozen ones refuse writes; impossible ones say why', { skip }, async () => {
  const definition = { name: own('m'), type: MAP_TYPE.ARRAY, keySize: 4, valueSize: 4, maxEntries: 1 };
  const map = await createMap(definition);
  map.update(u32(0), u32(1));
  map.freeze();
  assert.throws(() => map.update(u32(0), u32(2)), { code: 'KERNEL', message: /EPERM/ });
  assert.equal(map.lookup(u32(0))?.readUInt32LE(), 1);
  map.close();
  await assert.rejects(createMap({ ...definition, keySize: 5 }), { code: 'KERNEL', message: /map create.*EINVAL/ });
  assert.throws(() => openMapById(0xfffffff0), { code: 'KERNEL', message: /ENOENT/ });
});

test('reading all and writing at the same time does no harm', { skip }, async () => {
  const map = object.map('plain');
  await map.updateBatch(numbers(5000), values(5000), 5000);
  const reads = Promise.all(Array.from({ length: 8 }, () => map.lookupAll()));
  for (let i = 0; i < 2000; i++) map.delete(u32(i));
  for (const { count, keys, values: found } of await reads) {
    assert.ok(count >= 3000 && count <= 5000);
    assert.equal(found.length, 8 * (keys.length / 4));
  }
});
