// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWeirError } from '@weir/errors';
import { type Cidr, cidrContains, cidrContainsIp, parseCidr, parseIp } from '@weir/net';
import fc from 'fast-check';
import { checkAddress } from '../src/domain/addresses.ts';
import { formatBandwidth, parseBandwidth } from '../src/domain/bandwidth.ts';
import { checkLabels, labelsHash, securityLabels } from '../src/domain/labels.ts';
import { hostState, STALE_AFTER_MS } from '../src/domain/liveness.ts';
import { addressAt, blockAt, blockCount, blockIndex, capacity, checkStatic, keptAddress } from '../src/domain/pools.ts';
import { cleanBig, cleanCount, cleanText } from '../src/domain/reports.ts';

const key = fc.stringMatching(/^[a-z]([a-z0-9-]{0,10}[a-z0-9])?$/);
const value = fc.stringMatching(/^([A-Za-z0-9]([A-Za-z0-9_.-]{0,10}[A-Za-z0-9])?)?$/);
const labels = fc.dictionary(key, value, { maxKeys: 6 });

test('security labels: sorted, unique, and a function of what they are made of', () => {
  fc.assert(
    fc.property(labels, key, labels, (own, namespace, ofNamespace) => {
      checkLabels(own, 'labels');
      const made = securityLabels(own, namespace, ofNamespace);
      assert.deepEqual(made, [...new Set(made)].sort());
      assert.ok(made.includes(`k8s:io.kubernetes.pod.namespace=${namespace}`));
      assert.ok(made.includes(`k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=${namespace}`));
      const shuffled = Object.fromEntries(Object.entries(own).reverse());
      assert.deepEqual(securityLabels(shuffled, namespace, ofNamespace), made);
    }),
  );
});

test('different sets of labels have different hashes, and nobody reaches the namespace of another', () => {
  fc.assert(
    fc.property(labels, key, labels, key, (left, leftSpace, right, rightSpace) => {
      const [a, b] = [securityLabels(left, leftSpace, {}), securityLabels(right, rightSpace, {})];
      assert.equal(labelsHash(a).equals(labelsHash(b)), a.join() === b.join());
      if (leftSpace !== rightSpace) assert.notDeepEqual(a, b);
    }),
  );
});

test('whatever a label is, it is taken as it is or refused with its name', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ maxLength: 80 }), fc.string({ maxLength: 80 }), { maxKeys: 3 }), (given) => {
      try {
        checkLabels(given, 'labels');
      } catch (error) {
        assert.ok(isWeirError(error) && (error.facts.issues?.length ?? 0) > 0);
        return;
      }
      for (const label of securityLabels(given, 'x', {})) assert.match(label, /^k8s:[A-Za-z0-9._/-]+=[A-Za-z0-9._-]*$/);
    }),
    { numRuns: 500 },
  );
});

test('blocks: inside their pool, none over another, found again by any of their addresses', () => {
  for (const [text, bits] of [
    ['10.64.0.0/12', 24],
    ['fd77::/48', 112],
    ['192.0.2.0/24', 29],
  ] as const) {
    const base = parseCidr(text);
    const last = blockCount(base, bits) - 1n;
    const index = fc.bigInt(0n, last);
    fc.assert(
      fc.property(index, index, fc.bigInt(0n, 1n << 30n), (left, right, offset) => {
        const [one, other] = [blockAt(base, bits, left), blockAt(base, bits, right)].map((block) =>
          parseCidr(block, { strict: true }),
        ) as [Cidr, Cidr];
        assert.ok(cidrContains(base, one));
        assert.equal(cidrContains(one, other), left === right);
        assert.equal(blockIndex(base, bits, parseIp(addressAt(one, offset))), left);
      }),
    );
  }
});

test('the address of a health endpoint is of the first block of its family, and none that a workload could get', () => {
  const blocks = ['10.77.1.0/24', '10.78.0.0/29', 'fd77::1:0/112'];
  assert.deepEqual([keptAddress(blocks, 4), keptAddress(blocks, 6)], ['10.77.1.1', 'fd77::1:1']);
  assert.deepEqual([keptAddress(['10.77.1.0/24'], 6), keptAddress([], 4)], ['', '']);
  for (const text of ['10.77.1.0/29', '10.77.0.0/16', 'fd77::/125']) {
    const block = parseCidr(text);
    const kept = keptAddress([text], block.family);
    assert.throws(() => checkStatic('ip4', kept, block), /is not a free address/);
    const size = capacity(block);
    for (const index of [0n, 1n, size / 2n, size - 1n]) assert.notEqual(addressAt(block, index), kept);
  }
});

test('bandwidth: quantities of Kubernetes, to the bit, or refused with the field', () => {
  const cases: [string, bigint][] = [
    ['10M', 10_000_000n],
    ['1.5G', 1_500_000_000n],
    ['512Ki', 524_288n],
    ['1k', 1_000n],
    ['1P', 10n ** 15n],
  ];
  for (const [text, bits] of cases) assert.equal(parseBandwidth('egress_bandwidth', text), bits);
  for (const wrong of ['', '10', '10m', '-1M', '1e6', '10 M', '2P', 'M', '0.5k']) {
    assert.throws(
      () => parseBandwidth('egress_bandwidth', wrong),
      (error) => isWeirError(error) && error.facts.field === 'egress_bandwidth' && error.facts.value === wrong,
      wrong,
    );
  }
  fc.assert(
    fc.property(fc.bigInt(1_000n, 10n ** 15n), (bits) => {
      assert.equal(parseBandwidth('x', formatBandwidth(bits)), bits);
    }),
  );
});

test('addresses of a block: never the network, gateway or broadcast; what is given may be asked for', () => {
  for (const text of ['10.77.3.0/24', 'fd77::3:0/112']) {
    const pool = parseCidr(text);
    const last = capacity(pool);
    fc.assert(
      fc.property(fc.bigInt(0n, 1n << 40n), (index) => {
        const address = addressAt(pool, index);
        assert.ok(cidrContainsIp(pool, parseIp(address)));
        assert.doesNotMatch(address, /(\.0|\.1|\.255|:0|:1)$/);
        checkStatic('ip', address, pool);
        assert.equal(addressAt(pool, index + last), address);
      }),
    );
    assert.equal(new Set(Array.from({ length: 253 }, (_, index) => addressAt(pool, BigInt(index)))).size, 253);
  }
});

test('addresses are stored in one spelling', () => {
  assert.equal(checkAddress('ip6', 'FD77:0:0::0005', 6), 'fd77::5');
  assert.throws(() => checkAddress('ip4', '10.0.0.01', 4), /is not an IP address/);
  assert.throws(() => checkAddress('ip4', '::ffff:10.0.0.1/96', 4));
});

test('a host is stale after three heartbeats that did not come', () => {
  const now = 1_000_000;
  assert.equal(hostState(null, now), 'never-seen');
  assert.equal(hostState(new Date(now - STALE_AFTER_MS), now), 'alive');
  assert.equal(hostState(new Date(now - STALE_AFTER_MS - 1), now), 'stale');
});

test('what agents report fits the columns', () => {
  assert.equal(cleanText('a\0b\ud800'), 'ab\ufffd');
  assert.equal(cleanText('x'.repeat(10_000)).length, 1_024);
  assert.deepEqual([cleanCount(2 ** 32 - 1), cleanBig(2n ** 64n - 1n)], [2 ** 31 - 1, 2n ** 63n - 1n]);
});
