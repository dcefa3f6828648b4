// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWeirError } from '@weir/errors';
import fc from 'fast-check';
import {
  canonicalCidr,
  cidrContains,
  cidrContainsIp,
  cidrOfAddress,
  formatIp,
  ipFamily,
  lastAddress,
  parseCidr,
  parseIp,
} from '../src/index.ts';

const cidr = fc.oneof(
  fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(([ip, bits]) => `${ip}/${bits}`),
  fc
    .tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.integer({ min: 0, max: 128 }))
    .filter(([bytes]) => ipFamily(bytes) === 6)
    .map(([bytes, bits]) => `${formatIp(bytes)}/${bits}`),
);

test('a prefix is canonical: host bits cleared, one text', () => {
  assert.equal(canonicalCidr('10.1.2.3/8'), '10.0.0.0/8');
  assert.equal(canonicalCidr('2001:DB8::1/32'), '2001:db8::/32');
  assert.equal(canonicalCidr('10.0.0.1/32'), '10.0.0.1/32');
  assert.deepEqual(
    [parseCidr('10.0.0.0/8'), parseCidr('::/0')].map(({ bits, bits128, family }) => [bits, bits128, family]),
    [
      [8, 104, 4],
      [0, 0, 6],
    ],
  );
});

test('a plain address is taken only when asked for', () => {
  assert.equal(canonicalCidr('10.0.0.1', { allowAddress: true }), '10.0.0.1/32');
  assert.equal(canonicalCidr('fd00::1', { allowAddress: true }), 'fd00::1/128');
});

const REFUSED: readonly [string, string][] = [
  ['10.0.0.1', 'write 10.0.0.1/32 for this one address'],
  ['10.0.0.0/33', 'write a number from 0 to 32'],
  ['fd00::/129', 'write a number from 0 to 128'],
  ['10.0.0.0/08', 'write a number from 0 to 32'],
  ['10.0.0.0/', 'write a number from 0 to 32'],
  ['10.0.0.0/-1', 'write a number from 0 to 32'],
  ['10.0.0.0/8/8', 'write a number from 0 to 32'],
  ['10.0.0.0/255.0.0.0', 'write 10.0.0.0/8'],
  ['10.0.0.0/255.0.255.0', 'write one prefix per range, such as 10.0.0.0/8'],
  ['::ffff:10.0.0.0/104', 'write 10.0.0.0'],
  ['/8', 'write it such as 10.0.0.1 or 2001:db8::1'],
];
for (const [text, fix] of REFUSED) {
  test(`${text} is refused: ${fix}`, () => {
    assert.throws(
      () => parseCidr(text),
      (error) => {
        assert.ok(isWeirError(error));
        assert.deepEqual([error.code, error.facts.value, error.facts.fix], ['INVALID_ARGUMENT', text, fix]);
        return true;
      },
    );
  });
}

test('strict refuses host bits and says what to write', () => {
  assert.throws(
    () => parseCidr('10.1.2.3/8', { strict: true }),
    (error) => isWeirError(error) && error.facts.fix === 'write 10.0.0.0/8',
  );
  assert.equal(parseCidr('10.0.0.0/8', { strict: true }).text, '10.0.0.0/8');
});

test('containment stays inside a family', () => {
  const all6 = parseCidr('::/0');
  assert.equal(cidrContains(all6, parseCidr('10.0.0.0/8')), false);
  assert.equal(cidrContainsIp(all6, parseIp('10.0.0.1')), false);
  assert.equal(cidrContainsIp(parseCidr('0.0.0.0/0'), parseIp('10.0.0.1')), true);
  assert.equal(cidrContains(parseCidr('10.0.0.0/8'), parseCidr('10.0.0.0/8')), true);
  assert.equal(cidrContains(parseCidr('10.0.0.0/9'), parseCidr('10.0.0.0/8')), false);
});

test('canonical form is a fixed point and keeps first and last address', () => {
  fc.assert(
    fc.property(cidr, (text) => {
      const parsed = parseCidr(text);
      assert.equal(canonicalCidr(parsed.text), parsed.text);
      assert.ok(cidrContainsIp(parsed, parsed.addr));
      if (ipFamily(lastAddress(parsed)) === parsed.family) assert.ok(cidrContainsIp(parsed, lastAddress(parsed)));
      assert.ok(cidrContains(parsed, cidrOfAddress(parseIp(text.slice(0, text.indexOf('/'))))));
    }),
    { numRuns: 2000 },
  );
});

test('containment equals comparing the bits one by one', () => {
  const bitsOf = (text: string): string => {
    const { addr, bits128, family } = parseCidr(text);
    const all = Array.from(addr, (byte) => byte.toString(2).padStart(8, '0')).join('');
    return `${family}${all.slice(0, bits128)}`;
  };
  // Few distinct bits, so that containment happens often.
  const small = fc
    .tuple(fc.constantFrom('10.0.0.0', '10.128.0.0', '11.0.0.0', 'fd00::', 'fd80::'), fc.integer({ min: 0, max: 10 }))
    .map(([ip, bits]) => `${ip}/${bits}`);
  fc.assert(
    fc.property(fc.oneof(small, cidr), fc.oneof(small, cidr), (a, b) => {
      assert.equal(cidrContains(parseCidr(a), parseCidr(b)), bitsOf(b).startsWith(bitsOf(a)));
    }),
    { numRuns: 3000 },
  );
});
