// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { OPENAPI_FILE, openapi } from '../src/openapi.ts';

const made = await openapi();

test('openapi.json is what the routes say (WEIR_UPDATE=1 writes it)', async () => {
  if (process.env.WEIR_UPDATE === '1') await writeFile(OPENAPI_FILE, made);
  assert.equal(await readFile(OPENAPI_FILE, 'utf8'), made);
});

test('each operation has a summary, a tag and problems; each change takes If-Match', async () => {
  const document = JSON.parse(made);
  let operations = 0;
  for (const [path, methods] of Object.entries<Record<string, Record<string, unknown>>>(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      operations += 1;
      const {
        summary,
        tags,
        responses,
        parameters = [],
      } = operation as { summary: string; tags: string[]; responses: object; parameters?: { name: string }[] };
      assert.ok(summary && tags.length === 1, `${method} ${path}`);
      assert.ok('4XX' in responses && '5XX' in responses, `${method} ${path}`);
      if (['patch', 'put', 'delete'].includes(method))
        assert.ok(
          parameters.some(({ name }) => name === 'if-match'),
          `${method} ${path}`,
        );
    }
  }
  assert.equal(operations, 64);
});
