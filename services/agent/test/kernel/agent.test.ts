// SPDX-License-Identifier: Apache-2.0
/** The real agent as a process of its own, killed and started again: all in a namespace made here (see agent.inner.ts). */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { it } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { createTestHost, leftovers } from '../support/netns.ts';

const INNER = new URL('./agent.inner.ts', import.meta.url).pathname;

it('the agent process on a real host', { skip: needKernel(), timeout: 300_000 }, async () => {
  const host = await createTestHost();
  try {
    const { netns, bpffsDir } = host;
    const child = spawn('nsenter', [`--net=${netns}`, '--', process.execPath, '--test-reporter=spec', INNER], {
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, WEIR_TEST_BPFFS: bpffsDir },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data) => {
        output += data;
      });
    }
    const timer = setTimeout(() => child.kill('SIGTERM'), 280_000);
    const code = await new Promise((resolve) => child.once('close', resolve));
    clearTimeout(timer);
    assert.equal(code, 0, output);
    assert.deepEqual(leftovers(), []);
  } finally {
    await host.destroy();
  }
});
