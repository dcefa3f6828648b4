// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toProblem, weirError } from '../src/index.ts';

test('a problem carries code, status, field, value and fix', () => {
  const problem = toProblem(
    weirError('INVALID_ARGUMENT', 'port 70000 is out of range', { field: 'port', value: 70000, fix: 'use 1 to 65535' }),
  );
  assert.deepEqual(problem, {
    type: 'urn:weir:error:invalid-argument',
    title: 'A value is not valid',
    status: 422,
    code: 'INVALID_ARGUMENT',
    detail: 'port 70000 is out of range',
    field: 'port',
    value: 70000,
    fix: 'use 1 to 65535',
  });
});

test('a foreign error is INTERNAL and does not leak its message', () => {
  const problem = toProblem(new Error('password=hunter2'));
  assert.equal(problem.code, 'INTERNAL');
  assert.ok(!JSON.stringify(problem).includes('hunter2'));
});
