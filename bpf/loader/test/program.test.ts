// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWeirError } from '@weir/errors';
import { openObject, readSkbContext, skbContext, TEST_RUN_REFUSED, xdpContext } from '../src/index.ts';
import { needKernel } from '../src/testing.ts';
import { compile, u64 } from './helper.ts';

const skip = needKernel();
const packet = Buffer.alloc(64, 1);

test('a tc program runs on a packet with its context', { skip }, async () => {
  const object = await openObject(compile('packets'));
  try {
    const ctx = skbContext({ mark: 5, cb: [10, 0, 0, 0, 3], ifindex: 1 });
    const run = await object.program('tc_context').testRun({ data: packet, ctx });
    assert.equal(run.retval, 17);
    assert.equal(run.dataOut.length, 68);
    const out = readSkbContext(run.ctxOut);
    assert.equal(out.mark, 1);
    assert.deepEqual(out.cb, [15, 0, 0, 0, 3]);
  } finally {
    object.close();
  }
});

test('many packets in one call: an answer for each, in their order', { skip }, async () => {
  const object = await openObject(compile('packets'));
  try {
    const program = object.program('xdp_grow');
    const frames = [64, 80, 1000].map((size) => Buffer.alloc(size, 1));
    const data = Buffer.concat(frames);
    assert.deepEqual(await program.testRuns(data, [64, 144, 1144]), [3, 3, 3]);
    assert.deepEqual(await program.testRuns(data, []), []);
    const tc = object.program('tc_context');
    assert.deepEqual(
      await tc.testRuns(data, [64, 144], skbContext({ mark: 5, cb: [10, 0, 0, 0, 3], ifindex: 1 })),
      [17, 17],
    );
    await assert.rejects(program.testRuns(data, [64, 63]), /ends must not fall/);
    await assert.rejects(program.testRuns(data, [64, 2000]), /stay inside data/);
    assert.deepEqual(await program.testRuns(data, [8, 8, 72]), [TEST_RUN_REFUSED, TEST_RUN_REFUSED, 3]);
  } finally {
    object.close();
  }
});

test('an XDP program grows the packet; room that is too small is an error', { skip }, async () => {
  const object = await openObject(compile('packets'));
  try {
    const program = object.program('xdp_grow');
    const run = await program.testRun({ data: packet, ctx: xdpContext({ dataLength: packet.length }), repeat: 3 });
    assert.equal(run.retval, 3);
    assert.equal(run.dataOut.length, packet.length + 3 * 20);
    assert.equal(run.dataOut[0], 0xab);
    await assert.rejects(program.testRun({ data: packet, dataSizeOut: 10 }), /84 bytes\) does not fit into 10 bytes/);
    const none = await program.testRun({ data: packet, dataSizeOut: 0 });
    assert.equal(none.dataOut.length, 0);
  } finally {
    object.close();
  }
});

test('a syscall program works on its context in place', { skip }, async () => {
  const object = await openObject(compile('maps'));
  try {
    const run = await object.program('read_config').testRun({ ctx: u64(0) });
    assert.equal(run.retval, 42);
    assert.equal(run.ctxOut.readBigUInt64LE(), 7n + (4n << 32n));
  } finally {
    object.close();
  }
});

test('a refused program says why and where, shortly', { skip }, async () => {
  const error: unknown = await openObject(compile('refused')).catch((thrown: unknown) => thrown);
  assert.ok(isWeirError(error));
  assert.equal(error.code, 'KERNEL');
  assert.match(
    error.message,
    /program 'unchecked' of .*refused\.bpf\.o was refused: R\d offset is outside of the packet/,
  );
  const details = error.facts.details as {
    op: string;
    errno: number;
    errnoName: string;
    name: string;
    verifierLog: string;
  };
  assert.equal(details.op, 'object load');
  assert.equal(details.errnoName, 'EACCES');
  assert.equal(details.name, 'unchecked');
  assert.match(details.verifierLog, /return data\[40\];/);
  assert.match(details.verifierLog, /invalid access to packet/);
  assert.ok(details.verifierLog.split('\n').length < 20, details.verifierLog);
});

test('what is closed cannot be used, and closing twice is allowed', { skip }, async () => {
  const object = await openObject(compile('packets'));
  const program = object.program('tc_pass');
  const running = program.testRun({ data: packet, repeat: 100_000 });
  object.close();
  object.close();
  assert.equal((await running).retval, 0);
  assert.equal(program.closed, true);
  await assert.rejects(program.testRun({ data: packet }), { code: 'KERNEL', message: /EBADF.*closed/ });
});

test('programs that are not named by autoload are not loaded', { skip }, async () => {
  const object = await openObject(compile('packets'), { autoload: ['tc_pass'] });
  assert.deepEqual([...object.programs.keys()], ['tc_pass']);
  assert.throws(() => object.program('tc_drop'), { code: 'NOT_FOUND' });
  object.close();
  await assert.rejects(openObject(compile('packets'), { autoload: ['nope'] }), /autoload names program 'nope'/);
});

test('objects that are missing or not objects are refused', { skip }, async () => {
  await assert.rejects(openObject('/nonexistent.o'), { code: 'KERNEL', message: /ENOENT/ });
  await assert.rejects(openObject(Buffer.from('not an ELF file')), { code: 'KERNEL' });
});
