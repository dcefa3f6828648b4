// SPDX-License-Identifier: Apache-2.0
/**
 * Whoever ends `npm run test:vm` in the middle finds no guest and no folder of it afterwards. In the file of the suites,
 * so that not two processes fetch a kernel.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { until } from '@weir/infra/fleet';
import { size } from '../lib/size.ts';
import { sweepGuests } from './guest.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const BOUND_MS = 120_000;
/** Both go the same way (stop.ts). */
const SIGNALS = size<readonly NodeJS.Signals[]>({ short: ['SIGINT'], long: ['SIGINT', 'SIGTERM'] });

const foldersOf = (pid: number): string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith(`weir-guest-${pid}-`));

/** Processes whose command line names this. */
const processesWith = (text: string): string[] =>
  readdirSync('/proc').filter((pid) => {
    const path = `/proc/${pid}/cmdline`;
    try {
      return /^\d+$/.test(pid) && existsSync(path) && readFileSync(path, 'utf8').includes(text);
    } catch {
      return false; // ended between the look and the read
    }
  });

/** A guest that would run for an hour, ended by this signal; its folder. */
const endedBy = async (signal: NodeJS.Signals): Promise<string> => {
  const run = spawn(process.execPath, ['e2e/vm/main.ts', '--', 'sleep', '3600'], { cwd: ROOT, stdio: 'ignore' });
  const ended = once(run, 'exit');
  const pid = run.pid as number;
  // QEMU makes the files of its ports
  const runs = (folder: string): boolean => existsSync(join(tmpdir(), folder, 'status'));
  await until('a guest to run', BOUND_MS, async () => foldersOf(pid).some(runs));
  const [folder = ''] = foldersOf(pid);
  assert.equal(processesWith(folder).length, 1);
  run.kill(signal);
  // as npm passes on what the terminal said already
  run.kill(signal);
  const [code, by] = await ended;
  assert.deepEqual([code, by], signal === 'SIGKILL' ? [null, 'SIGKILL'] : [1, null]);
  await until('the guest to be gone', BOUND_MS, async () => processesWith(`weir-guest-${pid}-`).length === 0);
  return join(tmpdir(), folder);
};

export const endedInTheMiddle = (): void => {
  for (const signal of SIGNALS) {
    it(`by ${signal}: takes its guest and its folder away`, async () => {
      assert.equal(existsSync(await endedBy(signal)), false);
    });
  }

  it('by SIGKILL: the guest goes with it, the folder with the next run', async () => {
    const folder = await endedBy('SIGKILL');
    assert.ok(existsSync(folder));
    sweepGuests();
    assert.equal(existsSync(folder), false);
  });
};
