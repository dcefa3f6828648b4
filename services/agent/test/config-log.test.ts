// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, it } from 'node:test';
import { ConfigLog } from '../src/sources/config-log.ts';

let dir = '';
let path = '';
const opened: ConfigLog[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'weir-config-log-'));
  path = join(dir, 'config.log');
});
afterEach(async () => {
  for (const log of opened.splice(0)) await log.close();
  rmSync(dir, { recursive: true, force: true });
});

const open = async () => {
  const made = await ConfigLog.open(path);
  opened.push(made.log);
  return made;
};
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const shown = async (): Promise<Record<string, string>> => {
  const { loaded } = await open();
  return Object.fromEntries(loaded.envelopes.map(({ subject, signed }) => [subject, text(signed)]));
};

it('gives back the newest of each subject, without those forgotten', async () => {
  const { log, loaded } = await open();
  assert.deepEqual(loaded, { envelopes: [], complete: false, damage: '' });
  log.put('a', Buffer.from('1'));
  log.put('b', Buffer.from('2'));
  log.put('a', Buffer.from('3'));
  log.put('c', Buffer.from('4'));
  log.forget('c');
  log.forget('never there');
  log.markComplete();
  await log.flushed();
  assert.ok(log.has('a', Buffer.from('3')) && !log.has('a', Buffer.from('1')));
  assert.deepEqual(await shown(), { a: '3', b: '2' });
  assert.equal((await open()).loaded.complete, true);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

it('cuts what a kill left half written, and is still whole', async () => {
  const { log } = await open();
  log.put('a', Buffer.from('1'));
  log.markComplete();
  await log.flushed();
  const before = readFileSync(path).length;
  appendFileSync(path, Buffer.from([200, 0, 0, 0, 1, 2]));
  const { loaded } = await open();
  assert.equal(loaded.complete, true);
  assert.match(loaded.damage, /torn record at byte/);
  assert.equal(readFileSync(path).length, before);
});

it('is not whole when a record in it is damaged: what followed is not known', async () => {
  const { log } = await open();
  log.markComplete();
  log.put('a', Buffer.from('first'));
  log.put('b', Buffer.from('second'));
  await log.flushed();
  const file = readFileSync(path);
  file[file.indexOf('first')] = 0;
  writeFileSync(path, file);
  const { loaded } = await open();
  assert.equal(loaded.complete, false);
  assert.match(loaded.damage, /corrupt/);
});

it('stays small under churn and loses nothing when it is rewritten', async () => {
  const { log } = await open();
  log.markComplete();
  for (let i = 0; i < 4000; i++) {
    log.put(`subject ${i % 10}`, Buffer.alloc(1000, i % 250));
    if (i % 100 === 0) await log.flushed();
  }
  await log.flushed();
  assert.ok(statSync(path).size < 2 << 20);
  const { loaded } = await open();
  assert.equal(loaded.envelopes.length, 10);
  assert.equal(loaded.complete, true);
  assert.deepEqual(
    loaded.envelopes.map(({ signed }) => signed[0]).sort((a, b) => (a ?? 0) - (b ?? 0)),
    [240, 241, 242, 243, 244, 245, 246, 247, 248, 249].map((n) => (3990 + n - 240) % 250).sort((a, b) => a - b),
  );
});

it('writes everything again after a disk that refused', async () => {
  const troubles: string[] = [];
  const { log } = await ConfigLog.open(path, (what) => troubles.push(what));
  opened.push(log);
  log.put('a', Buffer.from('1'));
  await log.flushed();
  await log.close();
  rmSync(dir, { recursive: true });
  log.put('b', Buffer.from('2'));
  await log.flushed();
  assert.equal(troubles.length, 1);
  const { mkdirSync } = await import('node:fs');
  mkdirSync(dir);
  log.put('c', Buffer.from('3'));
  await log.flushed();
  assert.deepEqual(await shown(), { a: '1', b: '2', c: '3' });
});
