// SPDX-License-Identifier: Apache-2.0
/** The committed image of the messages: what is added goes in, what would break others is named and stays out. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';

const PROTO = resolve(import.meta.dirname, '../../proto');
const FILE = 'weir/inventory/v1/inventory.proto';

/** The sources with one line changed. */
const changed = (t: TestContext, line: string, by: string): string => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-baseline-'));
  t.after(() => rmSync(dir, { recursive: true }));
  for (const name of ['tetragon', 'weir', 'buf.yaml', 'baseline.binpb', 'baseline.sh']) {
    cpSync(join(PROTO, name), join(dir, name), { recursive: true });
  }
  const text = readFileSync(join(dir, FILE), 'utf8');
  assert.ok(text.includes(line));
  writeFileSync(join(dir, FILE), text.replace(line, by));
  return dir;
};

const keep = (dir: string, CI: string) =>
  spawnSync('bash', [join(dir, 'baseline.sh')], { env: { ...process.env, CI }, encoding: 'utf8' });
const baseline = (dir: string): Buffer => readFileSync(join(dir, 'baseline.binpb'));

test('a field that is gone is named, and the image keeps it', (t) => {
  const dir = changed(t, '  repeated string pools = 5;\n', '');
  assert.match(keep(dir, '').stdout, /inventory\.proto:.*field "5".*"pools".*"Host"/);
  assert.deepEqual(baseline(dir), baseline(PROTO));
});

test('a field that is new goes into the image, but not by CI', (t) => {
  const dir = changed(t, '  repeated string pools = 5;\n', '  repeated string pools = 5;\n  string rack = 99;\n');
  assert.equal(keep(dir, 'true').status, 0);
  assert.deepEqual(baseline(dir), baseline(PROTO));
  assert.equal(keep(dir, '').status, 0);
  assert.ok(baseline(dir).includes('rack'));
});
