// SPDX-License-Identifier: Apache-2.0
/** The benchmark command measures something and says so in the agreed shape; how fast anything is, is no matter here. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { needKernel } from '@weir/loader/testing';
import type { BenchResult } from './report.ts';

const MAIN = new URL('./main.ts', import.meta.url).pathname;
const run = promisify(execFile);

it('a round of the benchmark prints a table and writes its rows', { skip: needKernel() }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-bench-test-'));
  try {
    const json = join(dir, 'policy.json');
    const parts = ['--part', 'paths', '--part', 'apply', '--part', 'compile'];
    const { stdout } = await run(process.execPath, [MAIN, 'policy', '--smoke', ...parts, '--json', json]);
    const { name, rows }: BenchResult = JSON.parse(readFileSync(json, 'utf8'));
    assert.equal(name, 'policy');
    // two kinds of request over six paths, one application, and seven of compiling
    assert.equal(rows.length, 20);
    for (const { metric, value, unit, ratio, goal, pass } of rows) {
      assert.ok(value > 0 && unit !== '' && (ratio === undefined || ratio > 0), metric);
      assert.equal(goal === undefined, pass === undefined, metric);
      assert.ok(stdout.includes(metric));
    }
    assert.ok(rows.some(({ pass }) => pass !== undefined));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

it('a round through our tunnel and a plain one, in both families', { skip: needKernel() }, async () => {
  const { stdout } = await run(process.execPath, [MAIN, 'overlay', '--smoke', '--part', 'requests']);
  for (const family of [4, 6]) {
    for (const kind of ['rr p50', 'crr p50'])
      assert.match(stdout, new RegExp(`tunnel ${kind} IPv${family}, ours to plain +[\\d.]+`), stdout);
  }
});

it('a round of services, at sockets and on the way', { skip: needKernel() }, async () => {
  const { stdout } = await run(process.execPath, [MAIN, 'svc', '--smoke']);
  for (const kind of ['rr p50', 'crr p50'])
    for (const name of ['direct', 'ours-100', 'ours-100-policy', 'nft-20'])
      assert.match(stdout, new RegExp(`service ${kind}, ${name} to direct +[\\d.]+`), stdout);
  assert.match(stdout, /program 100 services +[\d.]+ ms/);
  assert.match(stdout, /one backend among 100 services +[\d.]+ ms/);
});

it('a round of packets for services in XDP, ours and what it is compared with', { skip: needKernel() }, async () => {
  const { stdout } = await run(process.execPath, [MAIN, 'lb-prog', '--smoke']);
  for (const one of ['1 flow', '1k flows', '64k flows', '512k flows', 'SYN'])
    for (const lane of ['ours', 'stateless', 'lru'])
      assert.match(stdout, new RegExp(`${one}, ${lane} over the floor +-?[\\d.]+ ns`), stdout);
});

it('a round of frames that are really sent, to ours and to what the stack does', { skip: needKernel() }, async () => {
  const { stdout } = await run(process.execPath, [MAIN, 'lb-live', '--smoke']);
  for (const one of ['XDP_TX', 'ours', 'ip_forward', 'nft DNAT'])
    assert.match(stdout, new RegExp(`${one} over XDP_DROP +-?[\\d.]+ ns`), stdout);
});

it('an unknown benchmark is refused with the names of those that exist', async () => {
  await assert.rejects(
    run(process.execPath, [MAIN, 'nonsense']),
    ({ code, stderr }: { code: number; stderr: string }) => {
      assert.equal(code, 2);
      assert.match(
        stderr,
        /policy \(paths, tunnelled, apply, compile, rollout, simulation\), events \(reporting, agent, ingest\)/,
      );
      return true;
    },
  );
});
