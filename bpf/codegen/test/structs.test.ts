// SPDX-License-Identifier: Apache-2.0
/** Generated struct codecs, compiled from C and imported: layout, byte order, nesting, refusals. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { emitFiles, readObjects } from '../generate.ts';
import { writeFiles } from '../output.ts';
import { compileFixture } from './compile.ts';

const generate = async (t: TestContext, abi: string) => {
  const { objects, out } = compileFixture(t, { abi });
  writeFiles(out, emitFiles(readObjects(objects)));
  return import(join(out, 'index.ts'));
};

const EVERYTHING = `
struct inner { __be16 port; __u16 pad; __u32 count; };
enum colour { RED = -1, GREEN = 7 };
struct outer {
  __u8 a; __s8 b; __u16 c; __s32 d;
  __u64 e; __s64 f;
  __be16 g; __u8 pad[2]; __be32 h; __be64 i;
  __u8 mac[6]; char name[10];
  struct inner one;
  struct inner two[2];
  __u32 numbers[3];
  enum colour colour;
  _Bool yes; __u8 pad2[7];
};
struct outer *named;
`;

const VALUE = {
  a: 255,
  b: -128,
  c: 65535,
  d: -2147483648,
  e: 0xfedcba9876543210n,
  f: -2n,
  g: 0x1234,
  h: 0x12345678,
  i: 0x123456789abcdef0n,
  mac: Uint8Array.of(1, 2, 3, 4, 5, 6),
  name: 'grün',
  one: { port: 443, count: 1 },
  two: [
    { port: 80, count: 2 },
    { port: 81, count: 3 },
  ],
  numbers: [1, 2, 0xffffffff],
  colour: -1,
  yes: true,
};

test('a struct of every kind of field makes a round trip', async (t) => {
  const { outer } = await generate(t, EVERYTHING);
  const bytes = outer.encode(VALUE, Buffer.alloc(outer.size + 4, 0xaa), 2);
  assert.equal(bytes.readUInt16LE(0), 0xaaaa, 'nothing before it is written');
  assert.equal(bytes.readUInt16LE(outer.size + 2), 0xaaaa, 'nothing after it is written');
  assert.deepEqual(outer.decode(bytes, 2), VALUE);
});

test('big-endian typedefs are values in host order', async (t) => {
  const { outer } = await generate(t, EVERYTHING);
  const bytes: Buffer = outer.encode(VALUE);
  const at = outer.offsets;
  assert.equal(bytes.toString('hex', at.g, at.g + 2), '1234');
  assert.equal(bytes.toString('hex', at.h, at.h + 4), '12345678');
  assert.equal(bytes.toString('hex', at.i, at.i + 8), '123456789abcdef0');
  assert.equal(bytes.toString('hex', at.e, at.e + 8), '1032547698badcfe');
});

test('padding is written as zero and does not show', async (t) => {
  const { outer, inner } = await generate(t, EVERYTHING);
  const bytes = outer.encode(VALUE, Buffer.alloc(outer.size, 0xff));
  assert.equal(bytes.readUInt16LE(outer.offsets.pad), 0);
  assert.ok(bytes.subarray(outer.offsets.pad2).every((byte: number) => byte === 0));
  assert.deepEqual(Object.keys(inner.decode(Buffer.alloc(8))), ['port', 'count']);
});

test('single fields are read without the rest', async (t) => {
  const { outer } = await generate(t, EVERYTHING);
  const bytes = Buffer.concat([Buffer.alloc(3), outer.encode(VALUE)]);
  assert.equal(outer.read.e(bytes, 3), VALUE.e);
  assert.equal(outer.read.g(bytes, 3), VALUE.g);
  assert.deepEqual(outer.read.two(bytes, 3), VALUE.two);
});

test('decoded bytes are copies', async (t) => {
  const { outer } = await generate(t, EVERYTHING);
  const bytes = outer.encode(VALUE);
  const { mac } = outer.decode(bytes);
  bytes.fill(0);
  assert.deepEqual(mac, VALUE.mac);
});

test('what does not fit is refused, not cut', async (t) => {
  const { outer } = await generate(t, EVERYTHING);
  assert.throws(() => outer.encode({ ...VALUE, a: 256 }), RangeError);
  assert.throws(() => outer.encode({ ...VALUE, g: 65536 }), RangeError);
  assert.throws(() => outer.encode({ ...VALUE, e: 1n << 64n }), RangeError);
  assert.throws(() => outer.encode({ ...VALUE, f: 1n << 63n }), RangeError);
  assert.throws(() => outer.encode({ ...VALUE, mac: new Uint8Array(5) }), /5 bytes given where exactly 6 belong/);
  assert.throws(() => outer.encode({ ...VALUE, name: 'ten bytes!' }), /at most 9 fit/);
  assert.throws(() => outer.encode({ ...VALUE, two: [] }), /exactly 2/);
  assert.throws(() => outer.decode(Buffer.alloc(10)), /outer needs \d+ bytes at 0, the buffer has 10/);
});

test('enums are const objects with signed values', async (t) => {
  const { colour } = await generate(t, EVERYTHING);
  assert.deepEqual(colour, { RED: -1, GREEN: 7 });
});

const refused = async (t: TestContext, abi: string, message: RegExp): Promise<void> => {
  const { objects } = compileFixture(t, { abi });
  assert.throws(() => readObjects(objects), message);
};

test('implicit padding between fields is refused by name', (t) =>
  refused(t, 'struct holed { __u32 a; __u64 b; } *x;', /holed\.b has 4 bytes of implicit padding before it/));

test('implicit padding at the end is refused', (t) =>
  refused(t, 'struct tail { __u64 a; __u8 b; } *x;', /tail has 7 bytes of implicit padding at its end/));

test('padding inside a nested struct is refused', (t) =>
  refused(t, 'struct in { __u8 a; __u16 b; }; struct out { struct in i; } *x;', /in\.b has 1 bytes/));

test('bitfields, unions and pointers are refused', async (t) => {
  await refused(t, 'struct bits { __u32 a:3; __u32 b:29; } *x;', /bits\.a is a bitfield/);
  await refused(t, 'struct either { union { __u32 a; __u32 b; } u; } *x;', /either\.u is a union/);
  await refused(t, 'struct far { void *a; } *x;', /far\.a is a ptr/);
});
