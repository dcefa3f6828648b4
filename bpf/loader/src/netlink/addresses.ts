// SPDX-License-Identifier: Apache-2.0
/** Addresses of interfaces and of neighbours: RTM_*ADDR, RTM_*NEIGH. */
import { formatMac, parseMac } from '@weir/net';
import { type Family, familyNumber, familyOf, ipText, rawCidr, rawIp } from './ip.ts';
import { AF, attribute, attributes, FLAG, message, number, RTM, u32 } from './message.ts';

const IFA = { ADDRESS: 1, LOCAL: 2, FLAGS: 8 } as const;
const IFA_F = { NODAD: 0x02, TENTATIVE: 0x40, PERMANENT: 0x80, NOPREFIXROUTE: 0x200, MCAUTOJOIN: 0x400 } as const;
const ADDRESS_HEADER_BYTES = 8;

/** rt_scope_t, shared with routes. */
export const SCOPE = { universe: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const;
export type Scope = keyof typeof SCOPE;

export const scopeName = (scope: number): Scope =>
  (Object.keys(SCOPE) as Scope[]).find((name) => SCOPE[name] === scope) ?? 'universe';

export interface InterfaceAddress {
  readonly ifindex: number;
  readonly family: Family;
  /** With prefix length, host bits kept: `10.0.0.1/24`. */
  readonly address: string;
  readonly scope: Scope;
  /** IPv6 duplicate address detection has not ended: it cannot be used yet. */
  readonly tentative: boolean;
  readonly permanent: boolean;
}

export interface AddressOptions {
  readonly scope?: Scope;
  /** IPv6: usable at once, no duplicate address detection. */
  readonly nodad?: boolean;
  /** No route to the prefix comes with it. */
  readonly noprefixroute?: boolean;
  /** Of a multicast group: joined for as long as the address is there, by no process. */
  readonly autojoin?: boolean;
}

const addressHeader = (family: number, bits = 0, scope = 0, ifindex = 0): Buffer => {
  const out = Buffer.alloc(ADDRESS_HEADER_BYTES);
  out[0] = family;
  out[1] = bits;
  out[3] = scope;
  out.writeUInt32LE(ifindex, 4);
  return out;
};

export const readAddress = (body: Buffer): InterfaceAddress | undefined => {
  const family = body[0] ?? 0;
  if (body.length < ADDRESS_HEADER_BYTES || (family !== AF.INET && family !== AF.INET6)) return undefined;
  const found = attributes(body, ADDRESS_HEADER_BYTES);
  // of a point-to-point interface ADDRESS is the peer's
  const ip = ipText(found.get(IFA.LOCAL) ?? found.get(IFA.ADDRESS));
  if (ip === undefined) return undefined;
  const flags = number(found.get(IFA.FLAGS)) ?? body[2] ?? 0;
  return {
    ifindex: body.readUInt32LE(4),
    family: familyOf(family),
    address: `${ip}/${body[1]}`,
    scope: scopeName(body[3] ?? 0),
    tentative: (flags & IFA_F.TENTATIVE) !== 0,
    permanent: (flags & IFA_F.PERMANENT) !== 0,
  };
};

export const listAddresses = (): Buffer => message(RTM.GETADDR, FLAG.DUMP, addressHeader(AF.UNSPEC));

export const addAddress = (ifindex: number, cidr: string, options: AddressOptions = {}): Buffer => {
  const { family, bytes, bits } = rawCidr(cidr);
  const flags =
    (options.nodad ? IFA_F.NODAD : 0) |
    (options.noprefixroute ? IFA_F.NOPREFIXROUTE : 0) |
    (options.autojoin ? IFA_F.MCAUTOJOIN : 0);
  return message(
    RTM.NEWADDR,
    FLAG.CREATE | FLAG.REPLACE,
    addressHeader(family, bits, SCOPE[options.scope ?? 'universe'], ifindex),
    [attribute(IFA.LOCAL, bytes), attribute(IFA.ADDRESS, bytes), attribute(IFA.FLAGS, u32(flags))],
  );
};

export const deleteAddress = (ifindex: number, cidr: string): Buffer => {
  const { family, bytes, bits } = rawCidr(cidr);
  return message(RTM.DELADDR, 0, addressHeader(family, bits, 0, ifindex), [
    attribute(IFA.LOCAL, bytes),
    attribute(IFA.ADDRESS, bytes),
  ]);
};

const NDA = { DST: 1, LLADDR: 2, FLAGS_EXT: 15 } as const;
/** The kernel asks for it again before anybody needs it (Linux 5.16). */
const NTF_EXT_MANAGED = 1;
const NUD = {
  INCOMPLETE: 1,
  REACHABLE: 2,
  STALE: 4,
  DELAY: 8,
  PROBE: 16,
  FAILED: 32,
  NOARP: 64,
  PERMANENT: 128,
} as const;
const NEIGHBOUR_HEADER_BYTES = 12;

export interface Neighbour {
  readonly ifindex: number;
  readonly family: Family;
  readonly ip: string;
  readonly mac: string | undefined;
  readonly state: string;
}

export interface NeighbourOptions {
  readonly ifindex: number;
  readonly ip: string;
  readonly mac: string;
  /** Never asked for again; true unless told. */
  readonly permanent?: boolean;
}

const neighbourHeader = (family: number, ifindex = 0, state = 0): Buffer => {
  const out = Buffer.alloc(NEIGHBOUR_HEADER_BYTES);
  out[0] = family;
  out.writeInt32LE(ifindex, 4);
  out.writeUInt16LE(state, 8);
  return out;
};

export const readNeighbour = (body: Buffer): Neighbour | undefined => {
  const family = body[0] ?? 0;
  if (body.length < NEIGHBOUR_HEADER_BYTES || (family !== AF.INET && family !== AF.INET6)) return undefined;
  const found = attributes(body, NEIGHBOUR_HEADER_BYTES);
  const ip = ipText(found.get(NDA.DST));
  if (ip === undefined) return undefined;
  const mac = found.get(NDA.LLADDR);
  const state = body.readUInt16LE(8);
  return {
    ifindex: body.readInt32LE(4),
    family: familyOf(family),
    ip,
    mac: mac?.length === 6 ? formatMac(mac) : undefined,
    state: (Object.keys(NUD) as (keyof typeof NUD)[]).find((name) => state & NUD[name])?.toLowerCase() ?? 'none',
  };
};

export const listNeighbours = (family: Family | undefined): Buffer =>
  message(RTM.GETNEIGH, FLAG.DUMP, neighbourHeader(family ? familyNumber(family) : AF.UNSPEC));

export const addNeighbour = ({ ifindex, ip, mac, permanent = true }: NeighbourOptions): Buffer => {
  const { family, bytes } = rawIp(ip);
  return message(
    RTM.NEWNEIGH,
    FLAG.CREATE | FLAG.REPLACE,
    neighbourHeader(family, ifindex, permanent ? NUD.PERMANENT : NUD.REACHABLE),
    [attribute(NDA.DST, bytes), attribute(NDA.LLADDR, parseMac(mac))],
  );
};

export const keepNeighbour = (ifindex: number, ip: string): Buffer => {
  const { family, bytes } = rawIp(ip);
  return message(RTM.NEWNEIGH, FLAG.CREATE | FLAG.REPLACE, neighbourHeader(family, ifindex), [
    attribute(NDA.DST, bytes),
    attribute(NDA.FLAGS_EXT, u32(NTF_EXT_MANAGED)),
  ]);
};

export const deleteNeighbour = (ifindex: number, ip: string): Buffer => {
  const { family, bytes } = rawIp(ip);
  return message(RTM.DELNEIGH, 0, neighbourHeader(family, ifindex), [attribute(NDA.DST, bytes)]);
};
