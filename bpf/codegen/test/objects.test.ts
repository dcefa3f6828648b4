// SPDX-License-Identifier: Apache-2.0
/** Maps, configuration and drop texts out of several objects, and what must be equal among them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { emitFiles, readObjects } from '../generate.ts';
import { writeFiles } from '../output.ts';
import { compileFixture } from './compile.ts';

const WORKLOADS = `
struct thing { __u64 count; };
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(map_flags, BPF_F_NO_COMMON_LRU);
  __type(key, __be32);
  __type(value, struct thing);
  __uint(max_entries, 1 << 10);
} things SEC(".maps") DOC("what there is; it's a | b");
`;

test('a map has its type, key, value, size, flags, doc and users', (t) => {
  const { objects } = compileFixture(t, { one: WORKLOADS, two: WORKLOADS });
  const { maps, structs } = readObjects(objects);
  assert.deepEqual(maps, [
    {
      name: 'things',
      doc: "what there is; it's a | b",
      type: 'lru_hash',
      typeNumber: 9,
      key: { kind: 'int', size: 4, signed: false, bigEndian: true },
      keySize: 4,
      value: { kind: 'struct', name: 'thing', size: 8 },
      valueSize: 8,
      maxEntries: 1024,
      flags: 2,
      inner: undefined,
      objects: ['one', 'two'],
    },
  ]);
  assert.deepEqual(
    structs.map(({ name }) => name),
    ['thing'],
  );
});

test('a map of the same name must be the same in all objects', (t) => {
  const { objects } = compileFixture(t, { one: WORKLOADS, two: WORKLOADS.replace('1 << 10', '1 << 11') });
  assert.throws(() => readObjects(objects), /map things differs between one and two in: maxEntries/);
});

test('a struct of the same name must be the same in all objects', (t) => {
  const other = WORKLOADS.replace('__u64 count;', '__u32 count; __u32 more;');
  const { objects } = compileFixture(t, { one: WORKLOADS, two: other });
  assert.throws(() => readObjects(objects), /differs between one and two/);
});

test('a map without doc is refused', (t) => {
  const { objects } = compileFixture(t, { one: WORKLOADS.replace(/DOC\(.*\)/, '') });
  assert.throws(() => readObjects(objects), /things has no doc/);
});

test('maps of maps know their inner map, whose structs may be defined in abi only', async (t) => {
  const types = 'struct inner_key { __u32 prefixlen; __u8 addr[4]; }; struct inner_value { __u32 id; };';
  const { objects, out } = compileFixture(t, {
    abi: `${types} struct inner_key *k; struct inner_value *v;`,
    one: `${types}
struct inner_map {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE); __type(key, struct inner_key); __type(value, struct inner_value);
  __uint(max_entries, 8); __uint(map_flags, BPF_F_NO_PREALLOC);
};
struct {
  __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); __type(key, __u32); __uint(max_entries, 4); __array(values, struct inner_map);
} outer SEC(".maps") DOC("outer");`,
  });
  writeFiles(out, emitFiles(readObjects(objects)));
  const { MAPS, MAP_CODECS } = await import(join(out, 'maps.ts'));
  assert.equal(MAPS.outer.inner.type, 'lpm_trie');
  assert.equal(MAPS.outer.inner.key, 'inner_key');
  assert.equal(MAPS.outer.inner.maxEntries, 8);
  assert.deepEqual(MAP_CODECS.outer.innerValue.encode({ id: 5 }), Buffer.from([5, 0, 0, 0]));
});

const CONFIG = `
const char table[] = "not configuration";
const volatile __u64 interval_ns DOC("time between two things") = 5000000000ULL;
const volatile __be16 vxlan_port DOC("UDP port") = 0xb512;
const volatile _Bool strict DOC("refuse more") = 1;
const volatile __u8 address[4] DOC("own address");
`;

test('configuration has type, offset, initial value and doc, and encodes what is given', async (t) => {
  const { objects, out } = compileFixture(t, { one: CONFIG });
  writeFiles(out, emitFiles(readObjects(objects)));
  const { CONFIG: config } = await import(join(out, 'config.ts'));
  const { variables, encode } = config.one;
  assert.deepEqual(Object.keys(variables).sort(), ['address', 'interval_ns', 'strict', 'vxlan_port']);
  assert.equal(variables.interval_ns.initial, 5000000000n);
  assert.equal(variables.vxlan_port.initial, 0x12b5);
  assert.equal(variables.strict.initial, true);
  assert.equal(variables.address.initial, undefined);
  assert.equal(variables.address.doc, 'own address');
  assert.deepEqual(encode({ vxlan_port: 4789, strict: false }), {
    vxlan_port: Buffer.from([0x12, 0xb5]),
    strict: Buffer.from([0]),
  });
});

test('a configuration variable without doc is refused', (t) => {
  const { objects } = compileFixture(t, { one: 'const volatile __u32 limit = 3;' });
  assert.throws(() => readObjects(objects), /limit has no doc/);
});

const DROPS = `
enum weir_drop_reason { DROP_NONE = 0, DROP_BAD = 133 };
struct drop_text { __u32 reason; char text[12]; };
const struct drop_text texts[] SEC("drop_texts") = { { DROP_BAD, "It's bad" }, { DROP_NONE, "Success" } };
enum weir_drop_reason *reasons;
`;

test('drop texts are keyed by number and named without prefix', async (t) => {
  const { objects, out } = compileFixture(t, { abi: DROPS });
  writeFiles(out, emitFiles(readObjects(objects)));
  const { DROP_TEXT } = await import(join(out, 'drop-reasons.ts'));
  assert.deepEqual(DROP_TEXT, { 0: { name: 'NONE', text: 'Success' }, 133: { name: 'BAD', text: "It's bad" } });
});

test('a drop reason without text is refused', (t) => {
  const { objects } = compileFixture(t, { abi: DROPS.replace('{ DROP_NONE, "Success" }', '') });
  assert.throws(() => readObjects(objects), /DROP_NONE has no text/);
});

test("a struct that abi does not name is a program's own: sized, free in its layout, without codec", async (t) => {
  const { objects, out } = compileFixture(t, {
    abi: 'struct shared { __u32 x; } *s;',
    one: `
struct own { __u8 a; __u32 b : 3; };
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __type(key, __u32); __type(value, struct own); __uint(max_entries, 1);
} scratch SEC(".maps") DOC("scratch");`,
  });
  writeFiles(out, emitFiles(readObjects(objects)));
  const { MAPS, MAP_CODECS, ...rest } = await import(join(out, 'index.ts'));
  assert.equal(MAPS.scratch.value, 'own');
  assert.equal(MAPS.scratch.valueSize, 4);
  assert.deepEqual(Object.keys(MAP_CODECS.scratch), ['key']);
  assert.ok('shared' in rest && !('own' in rest));
});
