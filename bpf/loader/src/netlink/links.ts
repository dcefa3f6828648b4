// SPDX-License-Identifier: Apache-2.0
/** Network interfaces: RTM_*LINK. */
import { formatMac, parseMac } from '@weir/net';
import {
  AF,
  type Attributes,
  attribute,
  attributes,
  cstring,
  FLAG,
  message,
  nested,
  number,
  RTM,
  text,
  u8,
  u32,
} from './message.ts';

const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  OPERSTATE: 16,
  LINKINFO: 18,
  NET_NS_FD: 28,
  NUM_TX_QUEUES: 31,
  NUM_RX_QUEUES: 32,
  LINK_NETNSID: 37,
} as const;
const INFO = { KIND: 1, DATA: 2 } as const;
const VETH_INFO_PEER = 1;
const VXLAN = { LEARNING: 7, PORT_RANGE: 10, PORT: 15, COLLECT_METADATA: 25 } as const;
const IFF_UP = 1;
const IFF_NOARP = 1 << 7;
const IFF_LOWER_UP = 1 << 16;
const HEADER_BYTES = 16;

export interface NetworkLink {
  readonly ifindex: number;
  readonly name: string;
  readonly mac: string | undefined;
  readonly mtu: number;
  /** Set up by somebody. */
  readonly up: boolean;
  /** It has a carrier: for a veth, its peer is up too. */
  readonly carrier: boolean;
  /** `veth`, `bridge`, `vxlan` ...; undefined for hardware and loopback. */
  readonly kind: string | undefined;
  /** The other end of a veth, in its own namespace's numbers. */
  readonly peerIfindex: number | undefined;
  /** Local number of the peer's namespace; undefined when it is in this one. */
  readonly peerNetnsId: number | undefined;
  readonly master: number | undefined;
  /** Of a vxlan device. */
  readonly vxlan: VxlanPorts | undefined;
}

export interface VxlanPorts {
  /** UDP port that it listens on and sends to. */
  readonly port: number;
  /** Range of its source ports; 0 and 0: the kernel's own. */
  readonly sourceLow: number;
  readonly sourceHigh: number;
}

const header = (ifindex = 0, flags = 0, change = 0): Buffer => {
  const out = Buffer.alloc(HEADER_BYTES);
  out.writeInt32LE(ifindex, 4);
  out.writeUInt32LE(flags, 8);
  out.writeUInt32LE(change, 12);
  return out;
};

const be16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff);

const readVxlan = (data: Buffer | undefined): VxlanPorts | undefined => {
  const found = data && attributes(data, 0);
  const port = found?.get(VXLAN.PORT);
  const range = found?.get(VXLAN.PORT_RANGE);
  if (!port || !range) return undefined;
  return { port: port.readUInt16BE(0), sourceLow: range.readUInt16BE(0), sourceHigh: range.readUInt16BE(2) };
};

export const readLink = (body: Buffer): NetworkLink | undefined => {
  if (body.length < HEADER_BYTES || body[0] === AF.BRIDGE) return undefined;
  const flags = body.readUInt32LE(8);
  const found: Attributes = attributes(body, HEADER_BYTES);
  const info = found.get(IFLA.LINKINFO);
  const mac = found.get(IFLA.ADDRESS);
  const netns = found.get(IFLA.LINK_NETNSID);
  const kind = info ? text(attributes(info, 0).get(INFO.KIND)) : undefined;
  return {
    ifindex: body.readInt32LE(4),
    name: text(found.get(IFLA.IFNAME)) ?? '',
    mac: mac?.length === 6 ? formatMac(mac) : undefined,
    mtu: number(found.get(IFLA.MTU)) ?? 0,
    up: (flags & IFF_UP) !== 0,
    carrier: (flags & IFF_LOWER_UP) !== 0,
    kind,
    peerIfindex: number(found.get(IFLA.LINK)),
    peerNetnsId: netns?.readInt32LE(0),
    master: number(found.get(IFLA.MASTER)),
    vxlan: info && kind === 'vxlan' ? readVxlan(attributes(info, 0).get(INFO.DATA)) : undefined,
  };
};

export const listLinks = (): Buffer => message(RTM.GETLINK, FLAG.DUMP, header());

export const getLinkByName = (name: string): Buffer =>
  message(RTM.GETLINK, 0, header(), [attribute(IFLA.IFNAME, cstring(name))]);

export const getLink = (ifindex: number): Buffer => message(RTM.GETLINK, 0, header(ifindex));

export interface VethOptions {
  readonly name: string;
  readonly peer: string;
  /** Path of the namespace in which the peer is made. */
  readonly peerNetns?: string;
  readonly mac?: string;
  readonly peerMac?: string;
  readonly mtu?: number;
  /** Of each end, in each direction; the kernel's choice unless told. */
  readonly queues?: number;
}

const vethEnd = (
  name: string,
  mac: string | undefined,
  mtu: number | undefined,
  queues: number | undefined,
): Buffer[] => [
  attribute(IFLA.IFNAME, cstring(name)),
  ...(mac ? [attribute(IFLA.ADDRESS, parseMac(mac))] : []),
  ...(mtu ? [attribute(IFLA.MTU, u32(mtu))] : []),
  ...(queues ? [attribute(IFLA.NUM_TX_QUEUES, u32(queues)), attribute(IFLA.NUM_RX_QUEUES, u32(queues))] : []),
];

export const addVeth = (options: VethOptions, peerNetnsFd: number | undefined): Buffer => {
  const { name, peer, mac, peerMac, mtu, queues } = options;
  const peerEnd = [
    header(),
    ...vethEnd(peer, peerMac, mtu, queues),
    ...(peerNetnsFd === undefined ? [] : [attribute(IFLA.NET_NS_FD, u32(peerNetnsFd))]),
  ];
  return message(RTM.NEWLINK, FLAG.CREATE | FLAG.EXCL, header(), [
    ...vethEnd(name, mac, mtu, queues),
    nested(IFLA.LINKINFO, attribute(INFO.KIND, cstring('veth')), nested(INFO.DATA, nested(VETH_INFO_PEER, ...peerEnd))),
  ]);
};

/** A link without options of its own, e.g. a bridge. */
export const addLink = (kind: string, name: string, mtu?: number): Buffer =>
  message(RTM.NEWLINK, FLAG.CREATE | FLAG.EXCL, header(), [
    attribute(IFLA.IFNAME, cstring(name)),
    mtu === undefined ? undefined : attribute(IFLA.MTU, u32(mtu)),
    nested(IFLA.LINKINFO, attribute(INFO.KIND, cstring(kind))),
  ]);

export interface VxlanOptions extends VxlanPorts {
  readonly name: string;
  readonly mtu?: number;
}

/**
 * One device for every peer and every network id: who sends says with each packet where it goes (collect metadata). It
 * learns nothing and asks nobody.
 */
export const addVxlan = ({ name, mtu, port, sourceLow, sourceHigh }: VxlanOptions): Buffer =>
  message(RTM.NEWLINK, FLAG.CREATE | FLAG.EXCL, header(0, IFF_NOARP, IFF_NOARP), [
    attribute(IFLA.IFNAME, cstring(name)),
    ...(mtu ? [attribute(IFLA.MTU, u32(mtu))] : []),
    nested(
      IFLA.LINKINFO,
      attribute(INFO.KIND, cstring('vxlan')),
      nested(
        INFO.DATA,
        attribute(VXLAN.COLLECT_METADATA, u8(1)),
        attribute(VXLAN.LEARNING, u8(0)),
        attribute(VXLAN.PORT, be16(port)),
        ...(sourceHigh ? [attribute(VXLAN.PORT_RANGE, Buffer.concat([be16(sourceLow), be16(sourceHigh)]))] : []),
      ),
    ),
  ]);

export const setLinkUp = (ifindex: number, up: boolean): Buffer =>
  message(RTM.NEWLINK, 0, header(ifindex, up ? IFF_UP : 0, IFF_UP));

export const setLinkMac = (ifindex: number, mac: string): Buffer =>
  message(RTM.NEWLINK, 0, header(ifindex), [attribute(IFLA.ADDRESS, parseMac(mac))]);

export const setLinkMtu = (ifindex: number, mtu: number): Buffer =>
  message(RTM.NEWLINK, 0, header(ifindex), [attribute(IFLA.MTU, u32(mtu))]);

export const setLinkName = (ifindex: number, name: string): Buffer =>
  message(RTM.NEWLINK, 0, header(ifindex), [attribute(IFLA.IFNAME, cstring(name))]);

export const setLinkMaster = (ifindex: number, master: number): Buffer =>
  message(RTM.NEWLINK, 0, header(ifindex), [attribute(IFLA.MASTER, u32(master))]);

export const setLinkNetns = (ifindex: number, netnsFd: number): Buffer =>
  message(RTM.NEWLINK, 0, header(ifindex), [attribute(IFLA.NET_NS_FD, u32(netnsFd))]);

export const deleteLink = (ifindex: number): Buffer => message(RTM.DELLINK, 0, header(ifindex));
