// SPDX-License-Identifier: Apache-2.0
/**
 * Three hosts that encrypt what they send to one another, in each way of routing and over each underlay: what a witness on
 * the network between them sees, what is open stays open, and what strict mode does when there is no encryption.
 *
 * Run in a guest (e2e/vm/suites.ts), where the kernel has WireGuard.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { after, afterEach, before, describe, it, type TestContext } from 'node:test';
import { weir_drop_reason } from '@weir/bpf';
import { Routing, Underlay } from '@weir/proto/weir/bus/v1/config_pb.js';
import { fragmentsPass, MARKER, nothingPlain, onTheWire, ping, pinged } from '../support/capture.ts';
import { DB, EVIL, FAR_WEB, hasDevice, indexOf, mtuOf, WEB } from '../support/encrypted-places.ts';
import { EncryptingFleet, PATIENT_MS, STRICT, WIREGUARD } from '../support/encrypting-fleet.ts';
import { networkEntry, removal } from '../support/entries.ts';
import { inside, type JoinedHost, STEP_MS } from '../support/joined-hosts.ts';
import { leftovers } from '../support/netns.ts';

const UNENCRYPTED = weir_drop_reason.DROP_UNENCRYPTED;
const SHORT_MS = 2_000;

describe('hosts that encrypt', { timeout: 1_200_000 }, () => {
  let fleet: EncryptingFleet;
  let h1: JoinedHost;
  let h2: JoinedHost;
  let h3: JoinedHost;
  const tcp = (from: string, host: string, timeoutMs = PATIENT_MS) =>
    fleet.residentOf(from).ask({ op: 'tcp', host, port: 80, timeoutMs });
  const flowsOf = (host: JoinedHost, reason: number) => host.flows.filter(({ dropReason }) => dropReason === reason);

  /** TCP, UDP and echo, fragments too, of both families; who may and who may not; both ends know who the other is. */
  const allIsRight = async (): Promise<void> => {
    for (const family of ['ip4', 'ip6'] as const) {
      for (const from of [WEB.id, FAR_WEB.id]) {
        assert.equal(await tcp(from, DB[family]), 'ok', `TCP ${from} ${family}`);
        const udp = await fleet.residentOf(from).ask({ op: 'udp', host: DB[family], port: 80, timeoutMs: PATIENT_MS });
        assert.equal(udp, 'ok', `UDP ${from} ${family}`);
        fragmentsPass(from, DB[family]);
      }
      assert.equal(await tcp(EVIL.id, DB[family], SHORT_MS), 'timeout');
      assert.deepEqual(await h2.judged(DB[family], WEB[family]), [`${DB.identity} ${WEB.identity}`]);
      assert.deepEqual(await h1.judged(WEB[family], DB[family]), [`${WEB.identity} ${DB.identity}`]);
      assert.deepEqual(await h3.judged(FAR_WEB[family], DB[family]), [`${WEB.identity} ${DB.identity}`]);
    }
  };

  before(async () => {
    fleet = await EncryptingFleet.start([[WEB], [DB], [EVIL, FAR_WEB]]);
    [h1, h2, h3] = fleet.hosts;
  });
  afterEach(async (t) => fleet.explain(t as TestContext));
  after(async () => {
    await fleet?.destroy();
    assert.deepEqual(leftovers(), []);
  });

  it('without it the witness reads everything', async () => {
    const seen = await onTheWire(async () => pinged(WEB.id, DB.ip4));
    assert.ok(seen.bytes.includes(MARKER));
    assert.equal(hasDevice(h1), false);
    assert.equal(h1.publicKey, '');
  });

  it('a connection that is open stays open when encryption comes, host by host', async () => {
    assert.equal(await fleet.residentOf(WEB.id).ask({ op: 'open', host: DB.ip4, port: 80 }), 'ok');
    const stillOpen = async (when: string): Promise<void> =>
      assert.equal(await fleet.residentOf(WEB.id).ask({ op: 'say', timeoutMs: PATIENT_MS }), 'ok', when);
    fleet.network = networkEntry({ wireguard: WIREGUARD });
    for (const host of fleet.hosts) {
      await host.tell(fleet.network);
      await stillOpen(`${host.name} was told`);
    }
    for (const about of fleet.hosts) {
      for (const host of fleet.hosts) await host.tell(about.documentWith());
      await stillOpen(`the key of ${about.name} is known`);
    }
    await fleet.allEncrypted();
    await stillOpen('encrypted');
    assert.deepEqual(h1.peers, { h2: 'encrypted', h3: 'encrypted' });
  });

  it('the key is made on the host, readable by its owner, and nowhere else', () => {
    const [key, other] = [h1, h2].map(({ keyPath }) => readFileSync(keyPath, 'utf8').trim());
    assert.equal(statSync(h1.keyPath).mode & 0o777, 0o600);
    assert.notEqual(key, other);
    assert.notEqual(key, h1.publicKey);
    assert.equal(Buffer.from(h1.publicKey, 'base64').length, 32);
  });

  it('natively: everything between hosts is UDP 51871, flows say so, packets fit', async () => {
    nothingPlain(await onTheWire(allIsRight));
    assert.equal(mtuOf(WEB.id), 1440);
    await fleet.until('flows of both ends', () =>
      [h1, h2].every((host) =>
        host.flows.some(({ encrypted, destinationPort }) => encrypted && destinationPort === 80),
      ),
    );
    assert.equal(flowsOf(h1, UNENCRYPTED).length, 0);
  });

  it('what hosts say themselves, and to workloads elsewhere, is encrypted too', async () => {
    const seen = await onTheWire(async () => {
      pinged('h1', h2.underlay4);
      pinged('h1', h2.underlay6);
      pinged('h1', EVIL.ip4);
      pinged('h1', EVIL.ip6);
      pinged(WEB.id, h2.underlay4);
      pinged(EVIL.id, h1.underlay6);
    });
    nothingPlain(seen);
    assert.deepEqual(await h3.judged(EVIL.ip4, h1.underlay4), [`${EVIL.identity} 6`]);
  });

  it('a second address of a host goes on as before: no host would take it from the device', async () => {
    inside('h2', 'ip', 'addr', 'add', '198.18.251.99/24', 'dev', 'uplink0');
    try {
      pinged('h1', '198.18.251.99');
    } finally {
      inside('h2', 'ip', 'addr', 'del', '198.18.251.99/24', 'dev', 'uplink0');
    }
  });

  for (const [routing, underlay, mtu] of [
    [Routing.TUNNEL, Underlay.IPV4, 1390],
    [Routing.TUNNEL, Underlay.IPV6, 1350],
    [Routing.HYBRID, Underlay.IPV4, 1390],
    [Routing.NATIVE, Underlay.IPV6, 1420],
  ] as const) {
    it(`${Routing[routing]} over ${Underlay[underlay]}: nothing in the clear, identities are right, packets fit`, async () => {
      await fleet.changeTo(routing, underlay);
      assert.equal(mtuOf(WEB.id), mtu);
      nothingPlain(await onTheWire(allIsRight));
      for (const host of [h1, h2]) host.flows.length = 0;
      assert.equal(await tcp(WEB.id, DB.ip6), 'ok');
      await fleet.until('flows of both ends', () =>
        [h1, h2].every((host) => host.flows.some(({ encrypted, isReply }) => encrypted && isReply)),
      );
    });
  }

  it('no packet is lost while a third host leaves and joins, and the others keep their sessions', async (t) => {
    await fleet.changeTo(Routing.NATIVE, Underlay.IPV4);
    const packets = 200;
    const path = `/run/netns/weir-agent-${process.pid}-${WEB.id}`;
    const pings = spawn('nsenter', [
      ...[`--net=${path}`, '--', 'ping', '-n', '-i', '0.05', '-W', '20', '-c', String(packets), DB.ip4],
    ]);
    let output = '';
    pings.stdout.on('data', (chunk) => {
      output += chunk;
    });
    const ended = new Promise((resolve) => pings.once('close', resolve));
    const far = h3.documentWith();
    let rounds = 0;
    while (pings.exitCode === null) {
      for (const host of [h1, h2])
        await host.tell(removal('host', 'h3'), ...h3.workloads.map(({ id }) => removal('workload', id)));
      assert.deepEqual(Object.keys(h1.peers), ['h2']);
      for (const host of [h1, h2]) await host.tell(far, ...h3.workloads.map(({ document }) => document));
      rounds++;
    }
    await ended;
    assert.match(output, new RegExp(`${packets} packets transmitted, ${packets} received, 0% packet loss`));
    t.diagnostic(`${packets} packets, none lost while a host left and joined ${rounds} times`);
    await fleet.allEncrypted();
    assert.equal(await tcp(FAR_WEB.id, DB.ip4), 'ok');
  });

  it('without an agent it goes on; the next one changes nothing', async () => {
    const device = indexOf(h1);
    const documents = fleet.hosts.map((host) => host.documentWith());
    await h1.stop();
    nothingPlain(await onTheWire(async () => pinged(WEB.id, DB.ip4)));
    await h1.start([...fleet.everythingAtFirst().filter(({ kind }) => kind !== 'host'), ...documents, fleet.network]);
    assert.equal(indexOf(h1), device);
    assert.deepEqual(h1.peers, { h2: 'encrypted', h3: 'encrypted' });
    nothingPlain(await onTheWire(async () => pinged(WEB.id, DB.ip6)));
    assert.deepEqual(await h1.host.inspect(), []);
  });

  it('what somebody takes away is seen and put back', async () => {
    inside('h1', 'ip', 'link', 'del', 'weir_wg0');
    assert.deepEqual(await h1.host.inspect(), ['the device weir_wg0 was removed']);
    await h1.pass();
    await fleet.allEncrypted();
    inside('h1', 'ip', 'rule', 'flush', 'table', '51871');
    assert.match((await h1.host.inspect()).join(), /rule that .* is encrypted was removed/);
    await h1.pass();
    nothingPlain(
      await onTheWire(async () => {
        pinged(WEB.id, DB.ip4);
        pinged('h1', h2.underlay4);
      }),
    );
  });

  it('another key: the file removed, the agent started again, the fleet told', async () => {
    const old = h2.publicKey;
    await h2.stop();
    rmSync(h2.keyPath);
    await h2.start([h2.document, ...fleet.everything().filter(({ subject }) => subject !== h2.document.subject)]);
    assert.notEqual(h2.publicKey, old);
    // who encrypted with it does not go back to the clear while the new key has not answered
    const seen = await onTheWire(async () => {
      await fleet.tellKeys();
      await fleet.allEncrypted();
      pinged(WEB.id, DB.ip4);
    });
    nothingPlain(seen);
  });

  it('opted out: nothing to or from that host is encrypted, the others go on', async () => {
    const wireguard = { enabled: true, optOutLabels: ['role=control'] };
    await fleet.tellNetwork({ routing: Routing.HYBRID, underlay: Underlay.IPV4, wireguard });
    await fleet.later(STEP_MS);
    await fleet.later(STEP_MS);
    await fleet.tellKeys({ h3: { role: 'control' } });
    assert.deepEqual([h1.peers.h3, h1.peers.h2, h3.peers], ['opted-out', 'encrypted', {}]);
    const far = await onTheWire(async () => pinged(WEB.id, EVIL.ip4));
    assert.ok(far.bytes.includes(MARKER));
    nothingPlain(await onTheWire(async () => pinged(WEB.id, DB.ip4)));
    await fleet.later(5_000);
    assert.equal(hasDevice(h3), false);
    await fleet.tellKeys();
    await fleet.tellKeys();
    await fleet.allEncrypted();
  });

  for (const routing of [Routing.NATIVE, Routing.TUNNEL]) {
    it(`strict, ${Routing[routing]}: a host that cannot encrypt hears nothing and is not heard, and flows say why`, async () => {
      await fleet.changeTo(routing, Underlay.IPV4, STRICT);
      nothingPlain(await onTheWire(allIsRight));
      // h2 has no key, as if its kernel had no WireGuard; h1 knows
      await h1.tell(h2.documentWith({}, ''));
      assert.equal(h1.peers.h2, 'no-key');
      h1.flows.length = 0;
      const before = await h1.dropped('DROP_UNENCRYPTED', 'egress');
      const seen = await onTheWire(async () => {
        for (const to of [DB.ip4, DB.ip6]) assert.match(ping(WEB.id, to, '-W', '2'), /0 received/);
      });
      assert.equal(seen.bytes.includes(MARKER), false, 'nothing went out in the clear');
      assert.ok((await h1.dropped('DROP_UNENCRYPTED', 'egress')) >= before + 2);
      await fleet.until('the flow of the drop', () =>
        flowsOf(h1, UNENCRYPTED).some(
          ({ sourceIdentity, destinationIdentity, encrypted }) =>
            sourceIdentity === WEB.identity && destinationIdentity === DB.identity && !encrypted,
        ),
      );
      // and somebody who forges its workload's address, or its tunnel, is not heard
      const heard = await h1.dropped('DROP_UNENCRYPTED', 'ingress');
      inside('router', 'ip', 'addr', 'add', `${DB.ip4}/32`, 'dev', 'lo');
      inside('router', 'ip', 'route', 'add', `${WEB.ip4}/32`, 'via', h1.underlay4);
      try {
        assert.match(ping('router', WEB.ip4, '-I', DB.ip4, '-W', '2'), /0 received/);
      } finally {
        inside('router', 'ip', 'route', 'del', `${WEB.ip4}/32`);
        inside('router', 'ip', 'addr', 'del', `${DB.ip4}/32`, 'dev', 'lo');
      }
      assert.ok((await h1.dropped('DROP_UNENCRYPTED', 'ingress')) > heard);
      await fleet.tellKeys();
      await fleet.allEncrypted();
      pinged(WEB.id, DB.ip4);
    });
  }

  it('strict: without the device nothing goes out', async () => {
    inside('h1', 'ip', 'link', 'del', 'weir_wg0');
    const seen = await onTheWire(async () => {
      assert.match(ping(WEB.id, DB.ip4, '-W', '2'), /0 received/);
      assert.match(ping(WEB.id, DB.ip6, '-W', '2'), /0 received/);
    });
    assert.equal(seen.bytes.includes(MARKER), false);
    await h1.host.inspect();
    await h1.pass();
    await fleet.allEncrypted();
    pinged(WEB.id, DB.ip4);
  });

  it('off: a connection that is open stays open, nothing is left of it', async () => {
    await fleet.changeTo(Routing.NATIVE, Underlay.IPV4);
    assert.equal(await fleet.residentOf(WEB.id).ask({ op: 'open', host: DB.ip4, port: 80 }), 'ok');
    fleet.network = networkEntry({ underlay: Underlay.IPV4 });
    for (const host of fleet.hosts) {
      await host.tell(fleet.network);
      assert.equal(
        await fleet.residentOf(WEB.id).ask({ op: 'say', timeoutMs: PATIENT_MS }),
        'ok',
        `${host.name} was told`,
      );
    }
    await fleet.later(5_000);
    for (const host of fleet.hosts) {
      assert.equal(hasDevice(host), false);
      assert.equal(inside(host.name, 'ip', 'rule').includes('51871'), false);
      assert.equal(host.publicKey, '');
    }
    assert.equal(mtuOf(WEB.id), 1500);
    const seen = await onTheWire(async () => pinged(WEB.id, DB.ip4));
    assert.ok(seen.bytes.includes(MARKER));
  });
});
