// SPDX-License-Identifier: Apache-2.0
/** The shared test server: one for all who come, gone when the last has left, whatever way that was. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const testing = new URL('../src/testing.ts', import.meta.url).href;
/** A checkout of its own as far as the keeper's name goes, so that other tests' server is not waited for. */
const { NODE_TEST_CONTEXT: _context, WEIR_TEST_PG_URL: _url, ...base } = process.env;
const env = { ...base, WEIR_TEST_PG_SCOPE: `testing-${process.pid}` };

const start = async (): Promise<{ child: ChildProcess; url: string }> => {
  const script = `const { testDatabase } = await import('${testing}');
    const { url } = await testDatabase({ schema: 'demo' });
    console.log(url);
    setInterval(() => {}, 1_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout?.setEncoding('utf8') as NodeJS.ReadableStream, 'data')) as [string];
  return { child, url: line.trim() };
};

/** The server's process by its port, from its own command line. */
const serverOf = (port: string): number | undefined => {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      if (words[0]?.endsWith('/postgres') && words[words.indexOf('-p') + 1] === port) return Number(name);
    } catch {}
  }
  return undefined;
};

const dataDirOf = (pid: number): string => {
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  return words[words.indexOf('-D') + 1] ?? '';
};

test('two processes share one server; when both were killed it goes, with its files', async () => {
  const first = await start();
  const second = await start();
  const ports = [first, second].map(({ url }) => new URL(url).port);
  assert.equal(ports[0], ports[1]);
  assert.notEqual(new URL(first.url).pathname, new URL(second.url).pathname);
  const pid = serverOf(ports[0] ?? '');
  assert.ok(pid, 'the server runs');
  const dir = dataDirOf(pid);
  assert.ok(dir.startsWith(tmpdir()));

  first.child.kill('SIGKILL');
  await sleep(2_500);
  assert.equal(serverOf(ports[0] ?? ''), pid, 'one is still there');
  second.child.kill('SIGKILL');
  const deadline = Date.now() + 20_000;
  while ((serverOf(ports[0] ?? '') !== undefined || existsSync(dir)) && Date.now() < deadline) await sleep(100);
  assert.equal(serverOf(ports[0] ?? ''), undefined, 'the server is gone');
  assert.equal(existsSync(dir), false, 'its files are gone');
});
