// SPDX-License-Identifier: Apache-2.0
/** The committed codecs: whatever bytes the kernel writes survive decode and encode, but for padding and texts. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import * as gen from '../../gen/structs.ts';

const ROUNDS = 50;

for (const codec of Object.values(gen)) {
  test(`${codec.name}: encode(decode(bytes)) is stable and decodes to the same`, () => {
    for (let round = 0; round < ROUNDS; round++) {
      const value = codec.decode(randomBytes(codec.size));
      if ('text' in value) return;
      const encode = codec.encode as (value: unknown) => Buffer;
      const bytes = encode(value);
      assert.equal(bytes.length, codec.size);
      assert.deepEqual(codec.decode(bytes), value);
      for (const [field, read] of Object.entries(codec.read)) {
        assert.deepEqual(read(bytes), Reflect.get(value, field), field);
      }
    }
  });
}
