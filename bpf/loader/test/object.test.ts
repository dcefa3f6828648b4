// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import {
  type BpfObject,
  createInner,
  ensureBpffs,
  type OpenOptions,
  openObject,
  openPinnedLink,
  openPinnedMap,
  openPinnedProgram,
} from '../src/index.ts';
import { needKernel } from '../src/testing.ts';
import { compile, own, u32, u64 } from './helper.ts';

const skip = needKernel();
const root = `/sys/fs/bpf/${own('object')}`;
let folder = 0;
const opened: BpfObject[] = [];

const open = async (options: OpenOptions, defines: string[] = []): Promise<BpfObject> => {
  const object = await openObject(compile('maps', defines), options);
  opened.push(object);
  return object;
};

before(() => (skip ? undefined : ensureBpffs(root)));
after(() => {
  for (const object of opened) object.close();
  if (!skip) rmSync(root, { recursive: true, force: true });
});
const newDir = (): string => `${root}/${folder++}/deeper`;

test('pinned maps keep their contents for the next process', { skip }, async () => {
  const pinDir = newDir();
  const first = await open({ pinDir });
  first.map('plain').update(u32(5), u64(55));
  assert.deepEqual(readdirSync(pinDir).sort(), [
    'lru',
    'outer',
    'outer_array',
    'percpu_hash',
    'percpu_slots',
    'plain',
    'queue',
    'slots',
    'trie',
  ]);
  first.close();
  const second = await open({ pinDir });
  assert.equal(second.map('plain').reused, true);
  assert.equal(second.map('.rodata').reused, false);
  assert.equal(second.map('plain').lookup(u32(5))?.readBigUInt64LE(), 55n);
  const byPath = openPinnedMap(`${pinDir}/plain`);
  assert.equal(byPath.id, second.map('plain').id);
  byPath.close();
});

test('a pin of another shape is refused by name and number', { skip }, async () => {
  const pinDir = newDir();
  const first = await open({ pinDir });
  const id = first.map('plain').id;
  first.close();
  for (const [maxEntries, defines, says] of [
    [{ plain: 77 }, [], /incompatible pinned map .*\/plain: max_entries is 10000, the object declares 77/],
    [{}, ['VALUE=__u32'], /incompatible pinned map .*\/plain: value size is 8, the object declares 4/],
    [{}, ['PLAIN=BPF_MAP_TYPE_LRU_HASH'], /incompatible pinned map .*\/plain: type is 1, the object declares 9/],
    [{}, ['INNER_VALUE=__u32'], /incompatible pinned map .*\/outer: its inner maps have another shape/],
  ] as const) {
    await assert.rejects(open({ pinDir, maxEntries }, [...defines]), { code: 'KERNEL', message: says });
  }
  assert.equal(openPinnedMap(`${pinDir}/plain`).id, id);
});

test('an inner map in use tells the shape too', { skip }, async () => {
  const pinDir = newDir();
  const first = await open({ pinDir });
  const inner = await createInner(first.map('outer'), 'in');
  first.map('outer').updateInner(u32(9), inner);
  inner.close();
  await assert.rejects(open({ pinDir }, ['INNER_VALUE=__u32']), {
    message: /outer: inner value size is 8, the object declares 4/,
  });
});

test('an array of maps tells by its front; a long one with nothing in it is reused at once', { skip }, async () => {
  const pinDir = newDir();
  const first = await open({ pinDir });
  assert.equal((await open({ pinDir })).map('outer_array').reused, true);
  const inner = await createInner(first.map('outer_array'), 'in');
  first.map('outer_array').updateInner(u32(0), inner);
  inner.close();
  await assert.rejects(open({ pinDir }, ['SLOT_VALUE=__u32']), {
    message: /outer_array: inner value size is 8, the object declares 4/,
  });
});

test('an incompatible pin is replaced only when the caller commits', { skip }, async () => {
  const pinDir = newDir();
  const first = await open({ pinDir });
  const old = first.map('plain').id;
  const kept = first.map('lru').id;
  first.close();
  const second = await open({ pinDir, maxEntries: { plain: 500 }, replaceIncompatible: true });
  assert.equal(second.map('plain').reused, false);
  assert.equal(second.map('lru').id, kept);
  assert.equal(openPinnedMap(`${pinDir}/plain`).id, old);
  second.map('plain').update(u32(1), u64(1));
  await second.commitPins();
  await second.commitPins();
  assert.equal(openPinnedMap(`${pinDir}/plain`).id, second.map('plain').id);
  assert.equal(openPinnedMap(`${pinDir}/plain`).maxEntries, 500);
  assert.equal(existsSync(`${pinDir}/plain-next`), false);

  const third = await open({ pinDir, reusePins: false });
  assert.notEqual(third.map('lru').id, kept);
  await third.commitPins();
  assert.equal(openPinnedMap(`${pinDir}/lru`).id, third.map('lru').id);
});

test('only the named maps are pinned', { skip }, async () => {
  const pinDir = newDir();
  await open({ pinDir, pins: ['plain'] });
  assert.deepEqual(readdirSync(pinDir), ['plain']);
});

test('configuration is written before load, whole and checked', { skip }, async () => {
  const object = await open({
    rodata: { config_number: u32(1000), config_bytes: Buffer.of(9, 9, 9, 5) },
    maxEntries: { slots: 3 },
  });
  const run = await object.program('read_config').testRun({ ctx: u64(0) });
  assert.equal(run.ctxOut.readBigUInt64LE(), 1000n + (5n << 32n));
  assert.equal(object.map('slots').maxEntries, 3);
  assert.throws(() => object.map('.rodata').update(u32(0), Buffer.alloc(object.map('.rodata').valueSize)), /EPERM/);
  await assert.rejects(open({ rodata: { config_number: u64(1) } }), {
    message: /'config_number' has 4 bytes, 8 were given/,
  });
  await assert.rejects(open({ rodata: { nothing: u32(1) } }), { message: /no global variable 'nothing'/ });
  await assert.rejects(open({ maxEntries: { nothing: 1 } }), { message: /maxEntries names map 'nothing'/ });
});

test('an object from memory; programs are pinned and opened', { skip }, async () => {
  const object = await openObject(readFileSync(compile('packets')));
  opened.push(object);
  const program = object.program('tc_pass');
  const path = `${await ensureBpffs(newDir())}/program`;
  program.pin(path);
  const again = openPinnedProgram(path);
  assert.deepEqual([again.id, again.tag, again.typeName], [program.id, program.tag, 'sched_cls']);
  assert.throws(() => program.pin(path), { code: 'KERNEL', message: /EEXIST/ });
  assert.throws(() => openPinnedMap(path), { code: 'KERNEL', message: /no map/ });
  assert.throws(() => openPinnedLink(path), { code: 'KERNEL', message: /no link/ });
  again.close();
});

test('loading does not block JavaScript', { skip }, async () => {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  await Promise.all(Array.from({ length: 60 }, () => open({})));
  clearInterval(timer);
  assert.ok(ticks > 5, `only ${ticks} timer ticks`);
});
