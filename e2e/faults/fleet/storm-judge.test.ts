// SPDX-License-Identifier: Apache-2.0
/** The judge of the storm has teeth: it says what must come out only where every policy that may have been in force agrees, and then it does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Changes, wanted } from './storm-judge.ts';

/** Changes 0 to 3 were asked for at 0, 10, 20 and 30 ms; at 15 ms the first was known to be in force, at 40 ms the third. */
const changes = new Changes();
for (const atMs of [0, 10, 20, 30]) changes.ask(atMs);
changes.enforced(0, 15);
changes.enforced(2, 40);

test('a probe is judged by what may have been in force between its question and its answer', () => {
  assert.deepEqual(changes.window(1, 2), { first: 0, last: 0 });
  assert.deepEqual(changes.window(16, 17), { first: 0, last: 1 });
  assert.deepEqual(changes.window(16, 35), { first: 0, last: 3 });
  assert.deepEqual(changes.window(41, 42), { first: 2, last: 3 }, 'the last one was asked for, nobody knows of it yet');
});

test('only what all of them say must come out', () => {
  const onlyThird = (change: number): boolean => change === 3;
  assert.equal(wanted({ first: 0, last: 2 }, onlyThird), false, 'an answer would be a violation');
  assert.equal(wanted({ first: 3, last: 3 }, onlyThird), true, 'silence would be one');
  assert.equal(wanted({ first: 2, last: 3 }, onlyThird), undefined, 'either may be');
});
