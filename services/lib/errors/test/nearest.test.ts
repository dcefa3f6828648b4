// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from '../src/index.ts';

test('the closest known name, or none', () => {
  assert.equal(nearest('prot', ['port', 'host', 'protocol']), 'port');
  assert.equal(nearest('HSOT', ['port', 'host']), 'host');
  assert.equal(nearest('gamma', ['port', 'host']), undefined);
  assert.equal(nearest('x', ['ab']), undefined);
  assert.equal(nearest('', []), undefined);
  assert.equal(nearest('a'.repeat(1_000_000), ['port']), undefined);
});
