// SPDX-License-Identifier: Apache-2.0
/**
 * WireGuard devices (linux/wireguard.h, over generic netlink): keys, port, mark, and peers one by one, so that a change of
 * one leaves the others' sessions alone. A private key is written and never read out.
 */
import { weirError } from '@weir/errors';
import { isErrno } from '../errors.ts';
import { Generic } from './generic.ts';
import { ipText, rawCidr, rawIp } from './ip.ts';
import { AF, attribute, attributes, cstring, elements, FLAG, nested, number, text, u8, u16, u32 } from './message.ts';

const GET_DEVICE = 0;
const SET_DEVICE = 1;
const VERSION = 1;
const DEVICE = { IFNAME: 2, PRIVATE_KEY: 3, PUBLIC_KEY: 4, LISTEN_PORT: 6, FWMARK: 7, PEERS: 8 } as const;
const PEER = { PUBLIC_KEY: 1, FLAGS: 3, ENDPOINT: 4, KEEPALIVE: 5, HANDSHAKE: 6, RX: 7, TX: 8, ALLOWED: 9 } as const;
const PEER_FLAG = { REMOVE: 1, REPLACE_ALLOWED: 2 } as const;
const ALLOWED = { FAMILY: 1, IP: 2, BITS: 3 } as const;
export const WIREGUARD_KEY_BYTES = 32;
/** An attribute has at most 64 KiB, and a message is best kept below a page or ten. */
const REQUEST_BYTES = 30_000;

export interface WireguardPeer {
  /** Base64. */
  readonly publicKey: string;
  /** Where it was last heard from or is sent to; undefined: nobody said. */
  readonly endpoint: { readonly ip: string; readonly port: number } | undefined;
  /** Seconds; 0: none are sent. */
  readonly keepaliveS: number;
  /** Unix milliseconds; 0: there was none. */
  readonly handshakeMs: number;
  readonly receivedBytes: bigint;
  readonly sentBytes: bigint;
  /** What may come from there and goes there; CIDRs. */
  readonly allowed: readonly string[];
}

export interface WireguardDevice {
  readonly name: string;
  /** Base64; empty: it has no key yet. */
  readonly publicKey: string;
  readonly port: number;
  /** Of its own packets; 0: none. */
  readonly mark: number;
  readonly peers: ReadonlyMap<string, WireguardPeer>;
}

export interface WireguardSettings {
  readonly privateKey?: Uint8Array;
  readonly port?: number;
  readonly mark?: number;
}

export interface WireguardPeerChange {
  readonly publicKey: string;
  /** The others are then left out. */
  readonly remove?: boolean;
  readonly endpoint?: { readonly ip: string; readonly port: number };
  readonly keepaliveS?: number;
  /** Added to those that it has, unless `replaceAllowed`. What was another peer's is this one's then. */
  readonly allowed?: readonly string[];
  readonly replaceAllowed?: boolean;
}

const keyBytes = (key: string): Buffer => {
  const bytes = Buffer.from(key, 'base64');
  if (bytes.length === WIREGUARD_KEY_BYTES) return bytes;
  throw weirError('INVALID_ARGUMENT', `${JSON.stringify(key)} is not a WireGuard key`, {
    field: 'publicKey',
    value: key,
    fix: `give ${WIREGUARD_KEY_BYTES} bytes in base64`,
  });
};

const sockaddr = ({ ip, port }: { readonly ip: string; readonly port: number }): Buffer => {
  const { family, bytes } = rawIp(ip);
  const out = Buffer.alloc(family === AF.INET ? 16 : 28);
  out.writeUInt16LE(family, 0);
  out.writeUInt16BE(port, 2);
  out.set(bytes, family === AF.INET ? 4 : 8);
  return out;
};

const readSockaddr = (bytes: Buffer | undefined): WireguardPeer['endpoint'] => {
  if (!bytes || bytes.length < 16) return undefined;
  const family = bytes.readUInt16LE(0);
  const ip = family === AF.INET ? bytes.subarray(4, 8) : bytes.subarray(8, 24);
  const address = ipText(ip);
  return address === undefined ? undefined : { ip: address, port: bytes.readUInt16BE(2) };
};

const readAllowed = (bytes: Buffer): string[] => {
  const found = attributes(bytes, 0);
  const address = ipText(found.get(ALLOWED.IP));
  const bits = found.get(ALLOWED.BITS)?.[0];
  return address === undefined || bits === undefined ? [] : [`${address}/${bits}`];
};

const readPeer = (bytes: Buffer): WireguardPeer | undefined => {
  const found = attributes(bytes, 0);
  const key = found.get(PEER.PUBLIC_KEY);
  if (!key) return undefined;
  const time = found.get(PEER.HANDSHAKE);
  const handshakeMs =
    time && time.length >= 16 ? Number(time.readBigInt64LE(0) * 1000n + time.readBigInt64LE(8) / 1_000_000n) : 0;
  return {
    publicKey: key.toString('base64'),
    endpoint: readSockaddr(found.get(PEER.ENDPOINT)),
    keepaliveS: found.get(PEER.KEEPALIVE)?.readUInt16LE(0) ?? 0,
    handshakeMs,
    receivedBytes: found.get(PEER.RX)?.readBigUInt64LE(0) ?? 0n,
    sentBytes: found.get(PEER.TX)?.readBigUInt64LE(0) ?? 0n,
    allowed: elements(found.get(PEER.ALLOWED) ?? Buffer.alloc(0)).flatMap(readAllowed),
  };
};

/** A device with many peers comes in parts; a peer with many prefixes does too, and then says its key again. */
export const readDevice = (parts: readonly Buffer[]): WireguardDevice | undefined => {
  const [first] = parts;
  if (!first) return undefined;
  const head = attributes(first, 0);
  const peers = new Map<string, WireguardPeer>();
  for (const part of parts) {
    for (const element of elements(attributes(part, 0).get(DEVICE.PEERS) ?? Buffer.alloc(0))) {
      const peer = readPeer(element);
      if (!peer) continue;
      const begun = peers.get(peer.publicKey);
      peers.set(peer.publicKey, begun ? { ...begun, allowed: [...begun.allowed, ...peer.allowed] } : peer);
    }
  }
  return {
    name: text(head.get(DEVICE.IFNAME)) ?? '',
    publicKey: head.get(DEVICE.PUBLIC_KEY)?.toString('base64') ?? '',
    port: head.get(DEVICE.LISTEN_PORT)?.readUInt16LE(0) ?? 0,
    mark: number(head.get(DEVICE.FWMARK)) ?? 0,
    peers,
  };
};

const allowedElement = (cidr: string): Buffer => {
  const { family, bytes, bits } = rawCidr(cidr);
  return nested(
    0,
    attribute(ALLOWED.FAMILY, u16(family)),
    attribute(ALLOWED.IP, bytes),
    attribute(ALLOWED.BITS, u8(bits)),
  );
};

const peerElement = (change: WireguardPeerChange): Buffer => {
  const { publicKey, remove, endpoint, keepaliveS, allowed = [], replaceAllowed } = change;
  const key = attribute(PEER.PUBLIC_KEY, keyBytes(publicKey));
  if (remove) return nested(0, key, attribute(PEER.FLAGS, u32(PEER_FLAG.REMOVE)));
  return nested(
    0,
    key,
    ...(replaceAllowed ? [attribute(PEER.FLAGS, u32(PEER_FLAG.REPLACE_ALLOWED))] : []),
    ...(endpoint ? [attribute(PEER.ENDPOINT, sockaddr(endpoint))] : []),
    ...(keepaliveS === undefined ? [] : [attribute(PEER.KEEPALIVE, u16(keepaliveS))]),
    ...(allowed.length > 0 ? [nested(PEER.ALLOWED, ...allowed.map(allowedElement))] : []),
  );
};

/** Changes that go into one request each. */
const inRequests = (changes: readonly WireguardPeerChange[]): Buffer[][] => {
  const requests: Buffer[][] = [];
  let bytes = REQUEST_BYTES;
  for (const element of changes.map(peerElement)) {
    if (bytes + element.length > REQUEST_BYTES) {
      requests.push([]);
      bytes = 0;
    }
    requests.at(-1)?.push(element);
    bytes += element.length;
  }
  return requests;
};

export class Wireguard {
  readonly #generic: Generic;

  /** @internal */
  constructor(netns: string | undefined) {
    this.#generic = new Generic(netns, 'wireguard', VERSION);
  }

  /** This kernel has WireGuard, as a module that is loaded now or built in. */
  async supported(): Promise<boolean> {
    return this.#generic.exists();
  }

  /** Undefined: there is no such device, or it is of another kind. */
  async device(name: string): Promise<WireguardDevice | undefined> {
    try {
      const ask = [attribute(DEVICE.IFNAME, cstring(name))];
      return readDevice(await this.#generic.request(`wireguard ${name}`, GET_DEVICE, FLAG.DUMP, ask));
    } catch (error) {
      if (isErrno(error, 'ENODEV', 'EOPNOTSUPP', 'ENOTSUP', 'ENOENT')) return undefined;
      throw error;
    }
  }

  async set(name: string, { privateKey, port, mark }: WireguardSettings): Promise<void> {
    await this.#set(name, [
      privateKey === undefined ? undefined : attribute(DEVICE.PRIVATE_KEY, privateKey),
      port === undefined ? undefined : attribute(DEVICE.LISTEN_PORT, u16(port)),
      mark === undefined ? undefined : attribute(DEVICE.FWMARK, u32(mark)),
    ]);
  }

  async setPeers(name: string, changes: readonly WireguardPeerChange[]): Promise<void> {
    for (const peers of inRequests(changes)) await this.#set(name, [nested(DEVICE.PEERS, ...peers)]);
  }

  async #set(name: string, all: readonly (Buffer | undefined)[]): Promise<void> {
    const what = `wireguard ${name}`;
    await this.#generic.request(what, SET_DEVICE, 0, [attribute(DEVICE.IFNAME, cstring(name)), ...all]);
  }

  close(): void {
    this.#generic.close();
  }
}

/** Without a path: this process's own namespace. */
export const openWireguard = (netnsPath?: string): Wireguard => new Wireguard(netnsPath);
