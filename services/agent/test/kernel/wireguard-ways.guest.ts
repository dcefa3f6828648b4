// SPDX-License-Identifier: Apache-2.0
/**
 * What goes between hosts that encrypt besides what their workloads say to each other: probes of health endpoints, and what
 * leaves by an egress gateway; and what waits for its turn. Run in a guest, as wireguard.guest.ts.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it, type TestContext } from 'node:test';
import { weir_identity } from '@weir/bpf';
import { Routing, Underlay } from '@weir/proto/weir/bus/v1/config_pb.js';
import { nothingPlain, onTheWire, pinged } from '../support/capture.ts';
import { BY_H2, FAR_WEB, HEALTH, SERVER, WEB } from '../support/encrypted-places.ts';
import { EncryptingFleet, PATIENT_MS, STRICT } from '../support/encrypting-fleet.ts';
import { removal, workloadEntry } from '../support/entries.ts';
import { inside, type JoinedHost, netnsPath } from '../support/joined-hosts.ts';
import { leftovers } from '../support/netns.ts';

const FAMILIES = ['ip4', 'ip6'] as const;
const BITS_PER_SECOND = 4_000_000n;
const BYTES = 1 << 20;

describe('hosts that encrypt: health endpoints, egress gateways, limits', { timeout: 600_000 }, () => {
  let fleet: EncryptingFleet;
  let [h1, h2] = [] as unknown as [JoinedHost, JoinedHost];
  before(async () => {
    fleet = await EncryptingFleet.start([[WEB], [HEALTH], [FAR_WEB]], [`${SERVER.ip4}/24`, `${SERVER.ip6}/64`]);
    [h1, h2] = fleet.hosts;
    await fleet.net.world?.ask({ op: 'serve', port: SERVER.port });
    await fleet.residentOf(FAR_WEB.id).ask({ op: 'serve', port: SERVER.port });
  });
  afterEach(async (t) => fleet.explain(t as TestContext));
  after(async () => {
    await fleet?.destroy();
    assert.deepEqual(leftovers(), []);
  });

  const asWhom = async (kind: 'tcp' | 'udp', family: (typeof FAMILIES)[number]): Promise<string> => {
    const to = { host: SERVER[family], port: SERVER.port, bytes: 1200 };
    const seen = await fleet.residentOf(WEB.id).ask({ op: 'seen', kind, ...to, timeoutMs: PATIENT_MS });
    return seen.split(' ')[0] as string;
  };

  for (const routing of [Routing.NATIVE, Routing.TUNNEL, Routing.HYBRID]) {
    it(`${Routing[routing]}: another host's health endpoint is probed encrypted`, async () => {
      await fleet.changeTo(routing, Underlay.IPV4, STRICT);
      const seen = await onTheWire(async () => {
        // as an agent does: out of the host's own namespace, by the way of workloads
        for (const family of FAMILIES) for (const host of ['h1', 'h3']) pinged(host, HEALTH[family]);
      });
      nothingPlain(seen);
      for (const family of FAMILIES)
        assert.deepEqual(await h2.judged(HEALTH[family], family === 'ip4' ? h1.underlay4 : h1.underlay6), [
          `${HEALTH.identity} ${weir_identity.IDENTITY_REMOTE_NODE}`,
        ]);
    });

    it(`${Routing[routing]}: to an egress gateway and back all is encrypted, beyond it nothing`, async () => {
      await fleet.tell(BY_H2);
      h1.flows.length = 0;
      const seen = await onTheWire(async () => {
        for (const kind of ['tcp', 'udp'] as const) {
          assert.equal(await asWhom(kind, 'ip4'), h2.underlay4, kind);
          assert.equal(await asWhom(kind, 'ip6'), h2.underlay6, kind);
        }
        pinged(WEB.id, SERVER.ip4);
      });
      nothingPlain(seen);
      const isOf = (port: number, reply: boolean) =>
        h1.flows.some(
          ({ encrypted, isReply, sourcePort, destinationPort }) =>
            encrypted && isReply === reply && (reply ? sourcePort : destinationPort) === port,
        );
      await fleet.until('flows of both ways', () => isOf(SERVER.port, false) && isOf(SERVER.port, true));
      await fleet.tell(removal('egressGateway', 'out'));
    });

    it(`${Routing[routing]}: what a limited workload sends waits before it is encrypted, and none of it is dropped`, async (t) => {
      const limitTo = (bitsPerSecond: bigint): Promise<void> => {
        const limited = { ...WEB, host: 'h1', netns: netnsPath(WEB.id), egressBitsPerSecond: bitsPerSecond };
        return h1.tell(workloadEntry(WEB.id, WEB.identity, limited));
      };
      await limitTo(BITS_PER_SECOND);
      assert.deepEqual(h1.egressLimiter, { kind: 'edt', reason: 'fq on uplink0, weir_wg0' });
      const before = await h1.counter('paced');
      const to = { host: FAR_WEB.ip4, port: SERVER.port, bytes: BYTES };
      const answer = await fleet.residentOf(WEB.id).ask({ op: 'transfer', ...to });
      const [came, ms = 0] = answer.split(' ').map(Number);
      const qdisc = inside('h1', 'tc', '-s', 'qdisc', 'show', 'dev', 'weir_wg0');
      t.diagnostic(`${came} bytes there and back in ${ms} ms; ${qdisc.replaceAll('\n', ' ')}`);
      assert.equal(came, BYTES);
      // Nothing goes ahead of its time but the first GSO packet.
      assert.ok(BYTES <= (ms / 1000) * (Number(BITS_PER_SECOND) / 8) + 65_536, answer);
      assert.ok((await h1.counter('paced')) > before);
      assert.ok(Number(/highprio \d+ throttled (\d+)/.exec(qdisc)?.[1]) > 0, qdisc);
      assert.match(qdisc, /dropped 0,/);
      await limitTo(0n);
    });
  }
});
