// SPDX-License-Identifier: Apache-2.0
/** Who speaks encrypted with whom, and when; and the key. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { weir_tunnel_flags } from '@weir/bpf';
import { Routing, Underlay } from '@weir/proto/weir/bus/v1/config_pb.js';
import { peerChange } from '../src/apply/kernel/encryption.ts';
import type { EncryptionFacts } from '../src/plan/encryption.ts';
import { Planner } from '../src/plan/planner.ts';
import { wireguardKey } from '../src/wireguard-key.ts';
import { fullHostEntry, networkEntry, removal } from './support/entries.ts';

const KEY = Object.fromEntries(
  ['h1', 'h2', 'h3', 'new'].map((name) => [name, Buffer.alloc(32, name).toString('base64')]),
) as Readonly<Record<'h1' | 'h2' | 'h3' | 'new', string>>;
const host = (n: 1 | 2 | 3, wireguardKey: string = KEY[`h${n}`], labels: Record<string, string> = {}) =>
  fullHostEntry({
    ...{ id: `h${n}`, underlayIp4: `192.0.2.${n}`, underlayIp6: `2001:db8::${n}` },
    ...{ pools: [`10.${n}.0.0/24`, `fd0${n}::/64`], wireguardKey, labels },
  });
/** RFC 7748, 6.1. */
const BOB = {
  secret: '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb',
  open: 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
};
const ON = { wireguard: { enabled: true } };

class Fleet {
  readonly planner = new Planner({ host: 'h1', allowHost: true, overlayStepMs: 1_000 });
  nowMs = 0;
  encryption: EncryptionFacts = { isUp: true, answered: new Set() };

  tell(...entries: Parameters<Planner['change']>[0][]): this {
    for (const entry of entries) this.planner.change(entry);
    return this;
  }

  answering(...keys: readonly string[]): this {
    this.encryption = { isUp: true, answered: new Set(keys) };
    return this;
  }

  desired() {
    this.planner.setFacts({
      ...{ addresses: ['192.0.2.1'], subnets: ['192.0.2.0/24'], configurationComplete: true },
      ...{ nowMs: this.nowMs, encryption: this.encryption },
    });
    return this.planner.compute();
  }

  get states() {
    return Object.fromEntries(this.planner.encryption.plan.states.map(({ host: id, state }) => [id, state]));
  }
}

const fleet = (...entries: Parameters<Planner['change']>[0][]): Fleet =>
  new Fleet().tell(host(1), host(2), host(3), ...entries);

describe('encryption', () => {
  it('is none without a document that asks for it', () => {
    for (const one of [fleet(), fleet(networkEntry({})), fleet(networkEntry({ wireguard: { enabled: false } }))]) {
      const { encryption, encryptedPools, overlay, uplinks } = one.desired();
      assert.deepEqual([encryption.device, encryption.peers.size, encryptedPools], [undefined, 0, []]);
      assert.deepEqual([overlay.overheadBytes, overlay.tunnels.size, uplinks], [0, 0, undefined]);
    }
  });

  it('asks a peer until it answers, and then sends what goes to its host and its pools there', () => {
    const one = fleet(networkEntry(ON));
    const before = one.desired();
    assert.deepEqual(before.encryption.peers.get(KEY.h2), {
      hostId: 'h2',
      endpoint: { ip: '192.0.2.2', port: 51_871 },
      allowed: ['10.2.0.0/24', '192.0.2.2/32', '2001:db8::2/128', 'fd02::/64'],
      isAsked: true,
    });
    assert.deepEqual([before.encryption.hosts, before.encryptedPools, one.states.h2], [[], [], 'not-answered']);
    assert.ok((before.encryption.changesInMs ?? Number.POSITIVE_INFINITY) <= 1_000);
    const { encryption, encryptedPools, overlay } = one.answering(KEY.h2).desired();
    assert.deepEqual(encryption.hosts, [
      { dst: '192.0.2.2/32', src: '192.0.2.1' },
      { dst: '2001:db8::2/128', src: '2001:db8::1' },
    ]);
    assert.deepEqual(encryptedPools, [
      { dst: '10.2.0.0/24', src: '192.0.2.1' },
      { dst: 'fd02::/64', src: '2001:db8::1' },
    ]);
    assert.deepEqual(encryption.sources, {
      own: ['192.0.2.1', '2001:db8::1'],
      pools: ['10.1.0.0/24', 'fd01::/64'],
    });
    assert.deepEqual([encryption.peers.get(KEY.h2)?.isAsked, encryption.peers.get(KEY.h3)?.isAsked], [false, true]);
    assert.deepEqual(
      [...overlay.tunnels.values()].map(({ encrypted, send }) => [encrypted, send]),
      [[true, false]],
    );
    assert.equal(overlay.device, undefined);
    assert.deepEqual(one.states, { h2: 'encrypted', h3: 'not-answered' });
  });

  it('once encrypted nothing goes back to the clear because of another key', () => {
    const one = fleet(networkEntry(ON)).answering(KEY.h2);
    one.desired();
    const { encryption } = one.tell(host(2, KEY.new)).desired();
    assert.deepEqual([...encryption.peers.keys()].sort(), [KEY.h3, KEY.new].sort());
    assert.equal(encryption.encrypted.has('h2'), true);
    assert.equal(encryption.peers.get(KEY.new)?.isAsked, true);
  });

  it('in the tunnel it is the tunnel that is encrypted: pools stay its own, sizes add up', () => {
    for (const [underlay, bytes] of [
      [Underlay.IPV4, 50 + 60],
      [Underlay.IPV6, 70 + 80],
    ] as const) {
      const one = fleet(networkEntry({ ...ON, routing: Routing.TUNNEL, underlay })).answering(KEY.h2, KEY.h3);
      const { encryptedPools, encryption, overlay } = one.desired();
      assert.deepEqual([encryptedPools, encryption.hosts.length], [[], 4]);
      assert.deepEqual([overlay.overheadBytes, overlay.device?.overheadBytes], [bytes, bytes]);
      assert.deepEqual(
        [...overlay.tunnels.values()].map(({ encrypted, send }) => [encrypted, send]),
        [
          [true, true],
          [true, true],
        ],
      );
    }
    assert.ok(weir_tunnel_flags.TUNNEL_ENCRYPTED);
  });

  it('who opted out, has no key or no address takes no part, and is named', () => {
    const one = fleet(networkEntry({ wireguard: { enabled: true, optOutLabels: ['role=control', 'x=y'] } }));
    one.tell(host(2, KEY.h2, { role: 'control' }), host(3, '')).answering(KEY.h2, KEY.h3);
    const { encryption } = one.desired();
    assert.deepEqual([encryption.peers.size, one.states], [0, { h2: 'opted-out', h3: 'no-key' }]);
    const alone = one.tell(host(1, KEY.h1, { x: 'y' })).desired();
    assert.equal(alone.encryption.device, undefined);
  });

  it('strict: what has not answered waits in the device, and uplinks are told; not on a host that opted out', () => {
    const wireguard = { enabled: true, strictCidrs: ['10.0.0.0/8'], strictExceptHosts: true, optOutLabels: ['a=b'] };
    const one = fleet(networkEntry({ wireguard, tunnelPort: 8473 }));
    const { encryptedPools, uplinks } = one.desired();
    assert.equal(encryptedPools.length, 4);
    assert.deepEqual(uplinks?.strict, {
      ...{ cidrs: new Set(['10.0.0.0/8']), ingress: false, exceptHosts: true },
      ...{ wireguardPort: 51_871, tunnelPort: 8473 },
    });
    assert.equal(one.tell(host(1, KEY.h1, { a: 'b' })).desired().uplinks, undefined);
  });

  it('ends in steps: sent in the clear at once, heard encrypted until all have heard of it; a host that left is not', () => {
    const one = fleet(networkEntry(ON)).answering(KEY.h2, KEY.h3);
    one.desired();
    const left = one.tell(removal('host', 'h3')).desired();
    assert.deepEqual([...left.encryption.peers.keys()], [KEY.h2]);
    const ending = one.tell(networkEntry({})).desired();
    assert.deepEqual([ending.encryption.device?.port, [...ending.encryption.peers.keys()]], [51_871, [KEY.h2]]);
    assert.deepEqual([ending.encryption.hosts, ending.encryptedPools, ending.encryption.changesInMs], [[], [], 3_000]);
    one.nowMs += 3_000;
    const ended = one.desired();
    assert.deepEqual([ended.encryption.device, ended.encryption.peers.size], [undefined, 0]);
  });

  it('a document with a port or prefix that is none leaves what was before', () => {
    const one = fleet(networkEntry(ON)).tell(networkEntry({ wireguard: { enabled: true, port: 70_000 } }));
    const { encryption, errors } = one.desired();
    assert.equal(encryption.device?.port, 51_871);
    assert.match(errors[0]?.message ?? '', /wireguard\.port 70000.*65535/);
    const strict = fleet(networkEntry({ wireguard: { enabled: true, strictCidrs: ['10.0.0.1/99'] } })).desired();
    assert.match(strict.errors.map(({ message }) => message).join(), /strict_cidrs/);
  });
});

describe('peers of the device', () => {
  const wanted = { hostId: 'h2', endpoint: { ip: '192.0.2.2', port: 1 }, allowed: ['10.2.0.0/24'], isAsked: false };
  const there = {
    ...{ publicKey: KEY.h2, endpoint: wanted.endpoint, keepaliveS: 0, handshakeMs: 1, allowed: ['10.2.0.0/24'] },
    ...{ receivedBytes: 0n, sentBytes: 0n },
  };

  it('one that is as wanted is left alone, of others only the difference is written', () => {
    assert.equal(peerChange(KEY.h2, wanted, there), undefined);
    assert.deepEqual(peerChange(KEY.h2, { ...wanted, allowed: ['10.2.0.0/24', '10.9.0.0/24'] }, there), {
      publicKey: KEY.h2,
      allowed: ['10.9.0.0/24'],
    });
    assert.deepEqual(peerChange(KEY.h2, { ...wanted, allowed: ['10.9.0.0/24'] }, there), {
      ...{ publicKey: KEY.h2, allowed: ['10.9.0.0/24'], replaceAllowed: true },
    });
    assert.deepEqual(peerChange(KEY.h2, { ...wanted, isAsked: true }, there), { publicKey: KEY.h2, keepaliveS: 5 });
  });
});

describe('the key of a host', () => {
  it('is made once, for its owner alone, and is a pair that another implementation would make', async () => {
    const dir = mkdtempSync(join(tmpdir(), `weir-key-${process.pid}-`));
    const path = join(dir, 'wireguard.key');
    try {
      const made = await wireguardKey(path);
      assert.equal(statSync(path).mode & 0o777, 0o600);
      chmodSync(path, 0o644);
      assert.deepEqual(await wireguardKey(path), made);
      assert.equal(statSync(path).mode & 0o777, 0o600);
      writeFileSync(path, Buffer.from(BOB.secret, 'hex').toString('base64'));
      assert.equal((await wireguardKey(path)).publicKey, Buffer.from(BOB.open, 'hex').toString('base64'));
      writeFileSync(path, 'nonsense');
      await assert.rejects(wireguardKey(path), { code: 'MALFORMED', message: /no WireGuard key/ });
      assert.equal(readFileSync(path, 'utf8'), 'nonsense');
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
