// SPDX-License-Identifier: Apache-2.0
/** The processes that a batch's flows name: whose the socket was at the workload where a flow was seen. */
import { poison, WIRE, WireReader } from './wire.ts';

export interface FlowOwner {
  /** CLOCK_BOOTTIME of its host at which its image began; with pid its name there. */
  readonly execNs: bigint;
  readonly pid: number;
  /** Effective user. */
  readonly uid: number;
  /** Path of its image; empty: not known. What is no UTF-8 is replaced. */
  readonly binary: string;
  /** Container's id, machine's or unit's name; empty: none. */
  readonly unit: string;
  readonly unitKind: string;
}

const TAG_PROCESSES = 6;
const PID_MAX = 0x7fff_ffff;
const TEXT_MAX = 4_096;

export const ownerKey = (execHigh: number, execLow: number, pid: number, uid: number): string =>
  `${execHigh >>> 0}:${execLow >>> 0}:${pid}:${uid}`;

export const keyOfOwner = ({ execNs, pid, uid }: Pick<FlowOwner, 'execNs' | 'pid' | 'uid'>): string =>
  ownerKey(Number(execNs >> 32n), Number(execNs & 0xffff_ffffn), pid, uid);

/** The exec id, as agents and processes have it. */
export const execIdOf = (host: string, { execNs, pid }: Pick<FlowOwner, 'execNs' | 'pid'>): string =>
  Buffer.from(`${host}:${execNs}:${pid}`).toString('base64');

export interface ExecId {
  readonly host: string;
  readonly execNs: bigint;
  readonly pid: number;
}

/** Undefined: it is none. */
export const parseExecId = (text: string): ExecId | undefined => {
  const match = /^([A-Za-z0-9](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?):(\d{1,19}):(\d{1,10})$/.exec(
    Buffer.from(text, 'base64').toString('latin1'),
  );
  if (match === null) return undefined;
  const [, host = '', execNs = '', pid = ''] = match;
  return BigInt(execNs) < 1n << 63n && Number(pid) <= PID_MAX
    ? { host, execNs: BigInt(execNs), pid: Number(pid) }
    : undefined;
};

/** Postgres has no NUL in texts. */
const text = (wire: WireReader): string => {
  const length = wire.length();
  if (length > TEXT_MAX) poison(`a name of a process has ${length} bytes`);
  const from = wire.at;
  wire.at += length;
  return Buffer.from(wire.bytes.buffer, wire.bytes.byteOffset + from, length)
    .toString()
    .replaceAll('\0', '\uFFFD');
};

const readOwner = (wire: WireReader): FlowOwner => {
  const end = wire.length() + wire.at;
  const owner = { execNs: 0n, pid: 0, uid: 0, binary: '', unit: '', unitKind: '' };
  while (wire.at < end) {
    const key = wire.uint32();
    if (key === ((1 << 3) | WIRE.FIXED64)) {
      wire.fixed64();
      if (wire.high >>> 31 !== 0) poison('the time of a process does not fit 63 bits');
      owner.execNs = (BigInt(wire.high >>> 0) << 32n) | BigInt(wire.low >>> 0);
    } else if (key === ((2 << 3) | WIRE.VARINT)) owner.pid = wire.uint32();
    else if (key === ((3 << 3) | WIRE.BYTES)) owner.binary = text(wire);
    else if (key === ((4 << 3) | WIRE.BYTES)) owner.unit = text(wire);
    else if (key === ((5 << 3) | WIRE.BYTES)) owner.unitKind = text(wire);
    else if (key === ((6 << 3) | WIRE.VARINT)) owner.uid = wire.uint32();
    else wire.skip(key & 7);
  }
  if (wire.at !== end) poison('a process ends in the middle of a field');
  if (owner.pid > PID_MAX) poison('the number of a process does not fit 31 bits');
  return owner;
};

/** By ownerKey. Throws PoisonError. */
export const readOwners = (message: Uint8Array): ReadonlyMap<string, FlowOwner> => {
  const wire = new WireReader(message);
  const owners = new Map<string, FlowOwner>();
  while (wire.at < wire.end) {
    const key = wire.uint32();
    if (key === ((TAG_PROCESSES << 3) | WIRE.BYTES)) {
      const owner = readOwner(wire);
      owners.set(keyOfOwner(owner), owner);
    } else wire.skip(key & 7);
  }
  return owners;
};

/** A binary as a user asks for it: its whole path, what begins so (with * behind it), or its last name. */
export interface BinaryRef {
  readonly kind: 'path' | 'prefix' | 'name';
  readonly text: string;
}

export const isBinary = ({ kind, text }: BinaryRef, binary: string): boolean => {
  if (kind === 'path') return binary === text;
  return kind === 'prefix' ? binary.startsWith(text) : binary.endsWith(`/${text}`);
};

/** Beginning of a container's id, as long as its engine shows it or longer: that is enough. */
export const SHORT_HEX = /^[0-9a-f]{12,64}$/;

export const isUnit = (wanted: string, unit: string): boolean =>
  SHORT_HEX.test(wanted) ? unit.startsWith(wanted) : unit === wanted;
