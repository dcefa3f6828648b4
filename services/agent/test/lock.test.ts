// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { WeirError } from '@weir/errors';
import { lockHost } from '../src/lock.ts';

it('only one agent of a host runs; the next waits a moment for the one before', async () => {
  const dir = `/sys/fs/bpf/test-${process.pid}`;
  const first = await lockHost(dir);
  await assert.rejects(
    lockHost(dir, 100),
    (error: WeirError) => error.code === 'CONFLICT' && /another agent/.test(error.message),
  );
  const second = lockHost(dir, 3000);
  setTimeout(() => void first.release(), 150);
  await (await second).release();
});
