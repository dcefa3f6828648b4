// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { withSettingsTable } from '@weir/config';
import { PolicyConfig } from '../src/config.ts';

test('README.md has every setting (WEIR_UPDATE=1 writes them)', () => {
  const file = new URL('../README.md', import.meta.url);
  const text = readFileSync(file, 'utf8');
  const wanted = withSettingsTable(text, PolicyConfig, 'POLICY');
  if (process.env.WEIR_UPDATE === '1') writeFileSync(file, wanted);
  else assert.equal(text, wanted);
});
