// SPDX-License-Identifier: Apache-2.0
/** Frames that ask for announced addresses, and what becomes of them. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type BpfObject, openObject, skbContext } from '@weir/loader';
import { needKernel } from '@weir/loader/testing';
import { announced, announced_key, weir_announce_state } from '../gen/index.ts';
import { objectPath } from '../objects.ts';
import { checksum, ip, mac, mapped } from './lib/bytes.ts';
import { arp, ethernet, ip6Raw, type Packet } from './lib/packet.ts';

const ACTION = { next: 0xffff_ffff, redirect: 7 } as const;
const IFINDEX = 1;
const VIP4 = '203.0.113.10';
const VIP6 = '2001:db8:113::a1b2:c3d4';
const OWN = '02:00:00:00:aa:01';
const CLIENT = { mac: '02:00:00:00:cc:01', ip4: '203.0.113.99', ip6: '2001:db8:113::99' };
const RIVAL = '02:00:00:00:bb:01';
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const GROUP = { ip: 'ff02::1:ffb2:c3d4', mac: '33:33:ff:b2:c3:d4' };
const NO_MAC = new Uint8Array(6);

describe('announced addresses', { skip: needKernel() }, () => {
  let object: BpfObject;
  before(async () => {
    object = await openObject(objectPath('announce'));
    for (const address of [VIP4, VIP6]) hold(address);
  });
  after(() => object.close());

  const keyOf = (address: string): Buffer => announced_key.encode({ addr: mapped(address), ifindex: IFINDEX });
  const hold = (address: string): void =>
    object.map('announced').update(
      keyOf(address),
      announced.encode({
        ...{ mac: mac(OWN), state: weir_announce_state.ANNOUNCE_HELD },
        ...{ others: 0, answered: 0n, other_mac: NO_MAC },
      }),
    );
  const entry = (address: string) => announced.decode(object.map('announced').lookup(keyOf(address)) as Buffer, 0);
  const run = async (from: string, to: string, packet: Packet, vlans: readonly number[] = []) => {
    const { retval, dataOut } = await object.program('answer_for').testRun({
      data: ethernet({ from, to, vlans }, packet),
      ctx: skbContext({ ifindex: IFINDEX }),
    });
    return { retval, frame: dataOut as Buffer };
  };
  const whoHas = (targetIp: string, senderIp = CLIENT.ip4): Packet =>
    arp({ senderMac: CLIENT.mac, senderIp, targetIp });
  const neighbour = (
    { src, dst, hopLimit = 255 }: { src: string; dst: string; hopLimit?: number },
    { type, target, options = '' }: { type: number; target: string; options?: string },
  ): Packet => {
    const body = Buffer.concat([Buffer.from([type, 0, 0, 0, 0, 0, 0, 0]), ip(target), Buffer.from(options, 'hex')]);
    return ip6Raw({ src, dst, hopLimit }, 58, body);
  };
  const SOURCE_MAC = '0101020000 00cc01'.replaceAll(' ', '');
  /** Of the advertisement in a frame: everything that a neighbour looks at. */
  const advertised = (frame: Buffer) => {
    const message = frame.subarray(54, 86);
    const pseudo = Buffer.alloc(8);
    pseudo.writeUInt32BE(message.length, 0);
    pseudo.writeUInt32BE(58, 4);
    return {
      to: frame.subarray(0, 6).toString('hex'),
      from: frame.subarray(6, 12).toString('hex'),
      source: frame.subarray(22, 38).toString('hex'),
      destination: frame.subarray(38, 54).toString('hex'),
      hopLimit: frame[21],
      type: message[0],
      flags: message[4],
      target: message.subarray(8, 24).toString('hex'),
      option: message.subarray(24).toString('hex'),
      length: frame.length,
      // Over a message with its checksum the sum is none.
      isIntact: checksum(frame.subarray(22, 38), frame.subarray(38, 54), pseudo, message) === 0,
    };
  };
  const hex = (address: string): string => ip(address).toString('hex');
  const macHex = (text: string): string => mac(text).toString('hex');

  test('who has it is answered to who asks, broadcast or not, and a probe too', async () => {
    for (const [to, sender] of [
      [BROADCAST, CLIENT.ip4],
      [OWN, CLIENT.ip4],
      [BROADCAST, '0.0.0.0'],
    ] as const) {
      const { retval, frame } = await run(CLIENT.mac, to, whoHas(VIP4, sender));
      assert.equal(retval, ACTION.redirect);
      const expected = `${macHex(CLIENT.mac)}${macHex(OWN)}08060001080006040002${macHex(OWN)}${hex(VIP4)}${macHex(CLIENT.mac)}${hex(sender)}`;
      assert.equal(frame.toString('hex', 0, 42), expected);
    }
    assert.equal(entry(VIP4).answered, 3n);
  });

  test('other addresses, other interfaces, tagged frames and what is cut short go on', async () => {
    for (const [packet, vlans] of [
      [whoHas('203.0.113.11'), []],
      [whoHas(VIP4), [7]],
    ] as const) {
      assert.equal((await run(CLIENT.mac, BROADCAST, packet, vlans)).retval, ACTION.next);
    }
    const whole = ethernet({ from: CLIENT.mac, to: BROADCAST }, whoHas(VIP4));
    const { retval } = await object.program('answer_for').testRun({ data: whole.subarray(0, 30) });
    assert.equal(retval, ACTION.next);
    object.map('announced').delete(keyOf(VIP4));
    object
      .map('announced')
      .update(
        announced_key.encode({ addr: mapped(VIP4), ifindex: IFINDEX + 1 }),
        announced.encode({ mac: mac(OWN), state: 0, others: 0, answered: 0n, other_mac: NO_MAC }),
      );
    assert.equal((await run(CLIENT.mac, BROADCAST, whoHas(VIP4))).retval, ACTION.next);
    hold(VIP4);
  });

  test('solicitations to the group and to the address, with and without a source MAC', async () => {
    const target = { type: 135, target: VIP6 };
    for (const [to, dst, options] of [
      [GROUP.mac, GROUP.ip, SOURCE_MAC],
      [OWN, VIP6, ''],
      [OWN, VIP6, `${SOURCE_MAC}0e01aabbccddeeff`],
    ] as const) {
      const { retval, frame } = await run(CLIENT.mac, to, neighbour({ src: CLIENT.ip6, dst }, { ...target, options }));
      assert.equal(retval, ACTION.redirect);
      assert.deepEqual(advertised(frame), {
        ...{ to: macHex(CLIENT.mac), from: macHex(OWN), source: hex(VIP6), destination: hex(CLIENT.ip6) },
        ...{ hopLimit: 255, type: 136, flags: 0x60, target: hex(VIP6), option: `0201${macHex(OWN)}` },
        ...{ length: 86, isIntact: true },
      });
    }
  });

  test('who is about to take an address (DAD) is told by all nodes that it is taken', async () => {
    const { retval, frame } = await run(
      CLIENT.mac,
      GROUP.mac,
      neighbour({ src: '::', dst: GROUP.ip }, { type: 135, target: VIP6 }),
    );
    assert.equal(retval, ACTION.redirect);
    const { to, destination, flags, isIntact } = advertised(frame);
    assert.deepEqual([to, destination, flags, isIntact], ['333300000001', hex('ff02::1'), 0x20, true]);
  });

  test('solicitations that were forwarded, and for other addresses, go on', async () => {
    const asked = { type: 135, target: VIP6, options: SOURCE_MAC };
    for (const packet of [
      neighbour({ src: CLIENT.ip6, dst: GROUP.ip, hopLimit: 254 }, asked),
      neighbour({ src: CLIENT.ip6, dst: GROUP.ip }, { ...asked, target: '2001:db8:113::1:c3d4' }),
      neighbour({ src: CLIENT.ip6, dst: GROUP.ip }, { ...asked, type: 133 }),
    ]) {
      assert.equal((await run(CLIENT.mac, GROUP.mac, packet)).retval, ACTION.next);
    }
  });

  test('when another machine speaks for an address this host is silent at once; its own words are not another’s', async () => {
    const gratuitous = (from: string): Packet => arp({ senderMac: from, senderIp: VIP4, targetIp: VIP4 });
    const unsolicited: Packet = neighbour(
      { src: VIP6, dst: 'ff02::1' },
      { type: 136, target: VIP6, options: '02010200000000bb01' },
    );
    assert.equal((await run(OWN, BROADCAST, gratuitous(OWN))).retval, ACTION.next);
    assert.equal((await run(OWN, '33:33:00:00:00:01', unsolicited)).retval, ACTION.next);
    assert.deepEqual([entry(VIP4).state, entry(VIP6).state], [0, 0]);
    assert.equal((await run(RIVAL, BROADCAST, gratuitous(RIVAL))).retval, ACTION.next);
    assert.equal((await run(RIVAL, '33:33:00:00:00:01', unsolicited)).retval, ACTION.next);
    for (const address of [VIP4, VIP6]) {
      const { state, others, other_mac } = entry(address);
      assert.deepEqual([state, others, Buffer.from(other_mac).toString('hex')], [1, 1, macHex(RIVAL)]);
    }
    assert.equal((await run(CLIENT.mac, BROADCAST, whoHas(VIP4))).retval, ACTION.next);
    const asked = neighbour({ src: CLIENT.ip6, dst: GROUP.ip }, { type: 135, target: VIP6, options: SOURCE_MAC });
    assert.equal((await run(CLIENT.mac, GROUP.mac, asked)).retval, ACTION.next);
    hold(VIP4);
    assert.equal((await run(CLIENT.mac, BROADCAST, whoHas(VIP4))).retval, ACTION.redirect);
  });
});
