// SPDX-License-Identifier: Apache-2.0
/** One document, one envelope: what is signed opens, and no other bytes do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { isWeirError } from '@weir/errors';
import { SignedConfigSchema } from '@weir/proto/weir/bus/v1/config_pb.js';
import { configSubject, createKeys, createSigner, signDocument, verifySigned } from '../src/index.ts';

const keys = createKeys('account');
const signer = createSigner(keys.seed);
const subject = configSubject('policy', 'NetworkPolicy/a/b');
const signed = (document: string): Uint8Array =>
  signDocument(signer, {
    subject,
    epoch: 1n,
    revision: 7n,
    publisher: 'policy',
    body: { case: 'policy', value: { key: 'NetworkPolicy/a/b', document } },
  });
const open = (bytes: Uint8Array) => verifySigned(bytes, [keys.publicKey], subject);
const refuses = (bytes: Uint8Array, what: string): void =>
  assert.throws(
    () => open(bytes),
    (error) => isWeirError(error) && error.code === 'FORBIDDEN',
    what,
  );

test('documents of every length open', () => {
  // Around the lengths at which a length takes one byte more; the last is told in four, as no policy ever is.
  for (const length of [0, 1, 20, 127, 128, 16_000, 16_384, 200_000, 2_200_000]) {
    const { body } = open(signed('x'.repeat(length)));
    assert.equal(body.case === 'policy' && body.value.document.length, length);
  }
});

test('no bit of an envelope can be changed, no byte left out, added or spelt otherwise', () => {
  const bytes = signed('{"r":1}');
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Uint8Array.from(bytes);
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
    refuses(changed, `bit ${bit}`);
  }
  for (let length = 0; length < bytes.length; length++) refuses(bytes.subarray(0, length), `${length} bytes`);
  refuses(Uint8Array.of(...bytes, 0x1a, 0x00), 'a field twice');
  assert.doesNotThrow(() => open(Uint8Array.of(...bytes, 0x22, 0x00)), 'a field of a newer version');
  // The same fields: the length of the first in one byte more than it needs.
  const first = bytes[1] as number;
  const longer = first < 0x80 ? [first | 0x80, 0] : [first, (bytes[2] as number) | 0x80, 0];
  refuses(Uint8Array.of(bytes[0] as number, ...longer, ...bytes.subarray(longer.length)), 'a longer length');
});

test('a signature is whole, and of a key that is trusted', () => {
  const other = createSigner(createKeys('account').seed);
  refuses(signDocument(other, { subject, epoch: 1n, revision: 1n, publisher: 'policy' }), 'a stranger');
  refuses(toBinary(SignedConfigSchema, create(SignedConfigSchema, { signed: signed(''), signer: keys.publicKey })), '');
  refuses(new Uint8Array(0), 'nothing');
});
