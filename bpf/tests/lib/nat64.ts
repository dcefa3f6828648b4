// SPDX-License-Identifier: Apache-2.0
/** NAT64 in the packet tests' world: the prefix, the device, and packets of both sides. */
import assert from 'node:assert/strict';
import { nat64 } from '../../gen/index.ts';
import { checksum, mac, mapped } from './bytes.ts';
import { type Ip4Options, type Ip6Options, ip4, ip6, type Packet } from './packet.ts';
import { becomes, becomesInward, enters, type Step, translated } from './scenario.ts';
import type { Segment } from './transport.ts';
import { NAT, type UplinkOptions, uplinkOf } from './uplink.ts';
import { WEB, WORLD, type World } from './world.ts';

/** Interface of the device. */
export const DEVICE = 77;
export const DEVICE_MAC = '02:00:00:00:64:64';
export const HAIRPIN4 = '192.0.0.8';

const hexOf = (ip4Text: string): string => {
  const [a = 0, b = 0, c = 0, d = 0] = ip4Text.split('.').map(Number);
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
};
/** The IPv6 address of an IPv4 host. */
export const address64 = (ip4Text: string, prefix = '64:ff9b::'): string => `${prefix}${hexOf(ip4Text)}`;
/** WORLD.ip4, as workloads write it. */
export const WORLD64 = address64(WORLD.ip4);

export const nat64Of =
  ({
    prefix = '64:ff9b::',
    uplink = WEB.ifindex,
    ...options
  }: UplinkOptions & { prefix?: string; uplink?: number } = {}) =>
  (world: World): void => {
    uplinkOf({ nat64Ip4: NAT.ip4, ...options })(world);
    const value = { prefix: mapped(prefix), hairpin4: mapped(HAIRPIN4), ifindex: DEVICE, uplink, mac: mac(DEVICE_MAC) };
    world.map('nat64').update(Buffer.alloc(4), nat64.encode(value));
  };

const ID_AT = 18;
const HEADER_AT = 14;
const SUM_AT = 24;

/** A packet made here has an id that nobody can know before: its header must be right with it, and is compared without. */
export const withoutId = (packet: Buffer): Buffer => {
  const out = Buffer.from(packet);
  const header = out.subarray(HEADER_AT, HEADER_AT + 20);
  assert.equal(checksum(header), 0, 'the header checksum is right');
  out.writeUInt16BE(0, ID_AT);
  out.writeUInt16BE(0, SUM_AT);
  out.writeUInt16BE(checksum(header), SUM_AT);
  return out;
};

export const becomes4 = (packet: Packet) => ({ ...becomes(packet), settle: withoutId });
export const becomes6 = (packet: Packet) => becomesInward(packet, DEVICE_MAC);

/** The workload's packet to the world, as it sends it and as it leaves. */
export const goesOut = (
  before: Segment,
  after: Segment,
  options6: Partial<Ip6Options> = {},
  options4: Partial<Ip4Options> = {},
): Step =>
  translated(ip6({ src: WEB.ip6, dst: WORLD64, ...options6 }, before)).redirects(
    becomes4(ip4({ src: NAT.ip4, dst: WORLD.ip4, ...options4 }, after)),
  );

/** The world's packet, as it comes and as the workload gets it. */
export const comesIn = (
  before: Segment,
  after: Segment,
  options4: Partial<Ip4Options> = {},
  options6: Partial<Ip6Options> = {},
): Step =>
  enters(ip4({ src: WORLD.ip4, dst: NAT.ip4, ...options4 }, before)).redirects(
    becomes6(ip6({ src: WORLD64, dst: WEB.ip6, ...options6 }, after)),
  );
