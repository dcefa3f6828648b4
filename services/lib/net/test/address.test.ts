// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWeirError } from '@weir/errors';
import fc from 'fast-check';
import { canonicalIp, compareIp, formatIp, ipFamily, isIp, nextAddress, parseIp } from '../src/index.ts';

const v4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
const v6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).filter((bytes) => ipFamily(bytes) === 6);

test('IPv4 is stored v4-mapped', () => {
  assert.deepEqual([...parseIp('10.1.2.3')], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 2, 3]);
  assert.equal(ipFamily(parseIp('10.1.2.3')), 4);
  assert.equal(ipFamily(parseIp('::')), 6);
});

const CANONICAL: readonly [string, string][] = [
  ['2001:DB8:0:0::1', '2001:db8::1'],
  ['::', '::'],
  ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
  ['1:0:0:4:0:0:0:8', '1:0:0:4::8'],
  ['::1.2.3.4', '::102:304'],
  ['64:ff9b::10.0.0.1', '64:ff9b::a00:1'],
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
];
for (const [text, canonical] of CANONICAL) {
  test(`${text} is written ${canonical}`, () => assert.equal(canonicalIp(text), canonical));
}

const REFUSED = [
  '',
  ' 10.0.0.1',
  '10.0.0.1 ',
  '010.0.0.1',
  '10.0.1',
  '10.0.0.256',
  '0x0a.0.0.1',
  '167772161',
  '10.0.0.1/32',
].concat([
  '1::2::3',
  ':::',
  'fe80::1%eth0',
  '1:2:3:4:5:6:7:8:9',
  'g::',
  '::ffff:10.0.0.1',
  '::ffff:a00:1',
  '::ffff:010.0.0.1',
  'localhost',
]);
for (const text of REFUSED) {
  test(`${JSON.stringify(text)} is refused with value and fix`, () => {
    assert.equal(isIp(text), false);
    assert.throws(
      () => parseIp(text),
      (error) => {
        assert.ok(isWeirError(error));
        assert.equal(error.code, 'INVALID_ARGUMENT');
        assert.equal(error.facts.value, text);
        assert.ok(error.facts.fix);
        return true;
      },
    );
  });
}

test('a v4-mapped text names the IPv4 address to write', () => {
  assert.throws(
    () => parseIp('::ffff:10.0.0.1'),
    (error) => isWeirError(error) && error.facts.fix === 'write 10.0.0.1',
  );
});

test('format and parse are inverse', () => {
  fc.assert(
    fc.property(fc.oneof(v4, v6), (bytes) => {
      const text = formatIp(bytes);
      const parsed = parseIp(text);
      assert.deepEqual([...(bytes.length === 4 ? parsed.subarray(12) : parsed)], [...bytes]);
      assert.equal(canonicalIp(text), text);
    }),
    { numRuns: 2000 },
  );
});

test('every spelling of an IPv6 address gives the same bytes', () => {
  fc.assert(
    fc.property(v6, fc.boolean(), (bytes, upper) => {
      const groups = Array.from({ length: 8 }, (_, at) =>
        (((bytes[at * 2] as number) << 8) | (bytes[at * 2 + 1] as number)).toString(16).padStart(4, '0'),
      );
      const text = groups.join(':');
      assert.deepEqual([...parseIp(upper ? text.toUpperCase() : text)], [...bytes]);
    }),
  );
});

test('no text makes parseIp throw anything but a WeirError', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.stringMatching(/^[0-9a-f:.%/]{0,45}$/)), (text) => {
      try {
        assert.equal(parseIp(text).length, 16);
      } catch (error) {
        assert.ok(isWeirError(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test('nextAddress steps within its family and ends there', () => {
  const step = (text: string, by?: bigint): string | undefined => {
    const next = nextAddress(parseIp(text), by);
    return next && formatIp(next);
  };
  assert.equal(step('10.0.0.255'), '10.0.1.0');
  assert.equal(step('10.0.1.0', -1n), '10.0.0.255');
  assert.equal(step('255.255.255.255'), undefined);
  assert.equal(step('0.0.0.0', -1n), undefined);
  assert.equal(step('fd00::ffff'), 'fd00::1:0');
  assert.equal(step('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'), undefined);
  assert.equal(step('::fffe:ffff:ffff'), undefined, 'what would be v4-mapped is no IPv6 address');
});

test('nextAddress agrees with compareIp', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        v4.map((bytes) => parseIp(formatIp(bytes))),
        v6,
      ),
      fc.bigInt(1n, 1n << 40n),
      (address, by) => {
        const next = nextAddress(address, by);
        if (!next) return;
        assert.equal(compareIp(address, next), -1);
        assert.equal(compareIp(next, address), 1);
        assert.deepEqual(nextAddress(next, -by), address);
      },
    ),
  );
});
