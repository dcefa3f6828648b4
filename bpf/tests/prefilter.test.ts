// SPDX-License-Identifier: Apache-2.0
/** The XDP prefilter: sources by the longest prefix or none, changed as a whole, counted. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createInner } from '@weir/loader';
import { needKernel } from '@weir/loader/testing';
import { prefilter_value, prefix_key, weir_drop_reason } from '../gen/index.ts';
import { mapped } from './lib/bytes.ts';
import { arp, ethernet, ip4, ip6, type Packet } from './lib/packet.ts';
import { udp } from './lib/transport.ts';
import { WEB, World } from './lib/world.ts';

const XDP = { drop: 1, pass: 2 } as const;
const SLOT = Buffer.alloc(4);
const dns = udp({ sport: 1000, dport: 53 });

describe('prefilter', { skip: needKernel() }, () => {
  let world: World;
  before(async () => {
    world = await World.open({}, 4096, 1 << 20, ['balancer']);
  });
  after(() => world.close());

  const deny = async (...cidrs: string[]): Promise<void> => {
    const inner = await createInner(world.map('prefilter'), 'denied');
    for (const cidr of cidrs) {
      const [address = '', bits] = cidr.split('/');
      const prefixlen = (address.includes(':') ? 0 : 96) + Number(bits);
      inner.update(prefix_key.encode({ prefixlen, addr: mapped(address) }), prefilter_value.encode({ revision: 1n }));
    }
    world.map('prefilter').updateInner(SLOT, inner);
    inner.close();
  };
  const run = async (packet: Packet, vlans: readonly number[] = []): Promise<number> => {
    const data = ethernet({ from: WEB.mac, to: WEB.hostMac, vlans }, packet);
    return (await world.program('prefilter_uplink').testRun({ data })).retval;
  };
  const from = (src: string): Packet =>
    src.includes(':') ? ip6({ src, dst: WEB.ip6 }, dns) : ip4({ src, dst: WEB.ip4 }, dns);

  test('nothing is denied before anything was set', async () => {
    assert.equal(await run(from('192.0.2.1')), XDP.pass);
  });

  test('sources of both families, tagged or not', async () => {
    await deny('192.0.2.0/24', '2001:db8:bad::/48', '203.0.113.7/32');
    const dropped = (await world.drops()).get(weir_drop_reason.DROP_PREFILTER) ?? 0;
    for (const source of ['192.0.2.1', '192.0.2.255', '203.0.113.7', '2001:db8:bad::1']) {
      assert.equal(await run(from(source)), XDP.drop, source);
      assert.equal(await run(from(source), [7]), XDP.drop, source);
      assert.equal(await run(from(source), [7, 8]), XDP.drop, source);
    }
    for (const source of ['192.0.3.1', '203.0.113.8', '2001:db8:bae::1', WEB.ip4]) {
      assert.equal(await run(from(source)), XDP.pass, source);
    }
    assert.equal(await run(arp({ senderMac: WEB.mac, senderIp: '192.0.2.1', targetIp: WEB.ip4 })), XDP.pass);
    assert.equal((await world.drops()).get(weir_drop_reason.DROP_PREFILTER), dropped + 12);
  });

  test('an IPv4 set says nothing of IPv6, and the other way round', async () => {
    await deny('0.0.0.0/0');
    assert.equal(await run(from('198.51.100.9')), XDP.drop);
    assert.equal(await run(from('2001:db8::9')), XDP.pass);
    await deny('2000::/3');
    assert.equal(await run(from('198.51.100.9')), XDP.pass);
    assert.equal(await run(from('2001:db8::9')), XDP.drop);
  });

  test('a packet cut short is left to the stack', async () => {
    await deny('192.0.2.0/24');
    const frame = ethernet({ from: WEB.mac, to: WEB.hostMac }, from('192.0.2.1'));
    for (const bytes of [14, 20, 33]) {
      assert.equal(
        (await world.program('prefilter_uplink').testRun({ data: frame.subarray(0, bytes) })).retval,
        XDP.pass,
      );
    }
  });
});
