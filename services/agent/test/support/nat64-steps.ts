// SPDX-License-Identifier: Apache-2.0
/** NAT64 on a real kernel, beside the masquerade of uplinks.test.ts: real sockets of a workload, by IPv6 to servers of IPv4. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { HostDatapath } from '../../src/apply/host.ts';
import type { DesiredUplinks } from '../../src/plan/uplinks.ts';
import type { Resident } from './netns.ts';

export interface Nat64Scene {
  /** Who asks, and a workload of the same host. */
  readonly first: Resident;
  readonly second: Resident;
  readonly port: number;
  readonly range: { readonly low: number; readonly high: number };
  /** The host's, as the world sees it. */
  readonly address: string;
  readonly agent: HostDatapath;
  apply(change?: Partial<DesiredUplinks>): Promise<void>;
  /** The agent goes, another comes. */
  restart(): Promise<void>;
  /** Once, from the first workload; what it wrote. */
  ping(...words: string[]): string;
  /** On the host. */
  run(...words: string[]): string;
}

/** 203.0.113.10, and 10.87.0.11 of the second workload. */
const FAR = '203.0.113.10';
const FAR64 = '64:ff9b::cb00:710a';
const SECOND64 = '64:ff9b::a57:b';
const ROUTER64 = '64:ff9b::c633:6402';
const PREFIX = '64:ff9b::/96';
const HAIRPIN = '192.0.0.8';
const KINDS = ['tcp', 'udp'] as const;
const TRANSFER_BYTES = 4 << 20;

export const nat64Steps = (sceneOf: () => Nat64Scene): void => {
  const seen = (kind: 'tcp' | 'udp', host = FAR64, bytes = 1): Promise<string> => {
    const { first, port } = sceneOf();
    return first.ask({ op: 'seen', kind, host, port, bytes });
  };
  const addressOf = (text: string): string => text.split(' ')[0] ?? '';

  it('an IPv4 server sees the host, by TCP, UDP and ping, with and without masquerade', async () => {
    const { first, range, address, agent, apply } = sceneOf();
    for (const masquerade4 of [false, true]) {
      await apply({ nat64: PREFIX, masquerade4 });
      for (const kind of KINDS) {
        const [from, port] = (await seen(kind)).split(' ');
        assert.equal(from, address, kind);
        assert.ok(Number(port) >= range.low && Number(port) <= range.high, `${kind}: port ${port}`);
      }
      assert.equal(await first.ask({ op: 'ping', host: FAR64 }), 'ok');
      assert.equal(addressOf(await seen('udp', FAR)), masquerade4 ? address : 'timeout');
    }
    assert.deepEqual(await agent.inspect(), []);
  });

  it('fragments, errors, and a way that carries less', async () => {
    const { first, port, address, ping } = sceneOf();
    // The first time the way's size is learnt.
    await seen('udp', FAR64, 5000);
    assert.equal(addressOf(await seen('udp', FAR64, 5000)), address);
    assert.equal(await first.ask({ op: 'udp', host: FAR64, port: 9 }), 'ECONNREFUSED');
    assert.equal(await first.ask({ op: 'tcp', host: FAR64, port: 9 }), 'refused');
    // the host is the first hop, the router the second
    assert.match(ping('-t', '1', FAR64), /From .*Hop limit/);
    assert.match(ping('-t', '2', FAR64), new RegExp(`From ${ROUTER64}.*Hop limit`));
    const answer = await first.ask({ op: 'transfer', host: FAR64, port, bytes: TRANSFER_BYTES });
    assert.match(answer, new RegExp(`^${TRANSFER_BYTES} `));
    assert.match(ping('-M', 'do', '-s', '1400', FAR64), /[Mm]essage too long|Packet too big/);
  });

  it('workloads of this host are reached by their IPv4 address too', async () => {
    const { first, second, port } = sceneOf();
    await second.ask({ op: 'serve', port });
    for (const kind of KINDS) assert.equal(addressOf(await seen(kind, SECOND64)), HAIRPIN, kind);
    assert.equal(await first.ask({ op: 'udp', host: SECOND64, port: 9 }), 'ECONNREFUSED');
  });

  it('agents change, the device is taken away, the prefix is another, and off it is off', async () => {
    const { first, port, address, apply, restart, run } = sceneOf();
    assert.equal(await first.ask({ op: 'open', host: FAR64, port }), 'ok');
    await restart();
    assert.equal(await first.ask({ op: 'say', timeoutMs: 2000 }), 'ok');
    run('ip', 'link', 'del', 'weir_nat64');
    assert.match((await sceneOf().agent.inspect()).join(), /weir_nat64 was removed/);
    await apply();
    assert.equal(await first.ask({ op: 'say', timeoutMs: 2000 }), 'ok');
    await apply({ nat64: '2001:db8:64::/96' });
    assert.equal(addressOf(await seen('tcp', '2001:db8:64::cb00:710a')), address);
    assert.doesNotMatch(run('ip', '-6', 'route'), /64:ff9b/);
    await apply({});
    assert.doesNotMatch(run('ip', 'link'), /weir_nat64/);
  });
};
