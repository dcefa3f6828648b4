// SPDX-License-Identifier: Apache-2.0
/**
 * Rows of the table `flows` in PGCOPY's binary format, written straight from the reader's fields: field count, then
 * per field its length and its value, all big-endian. The order is that of FLOW_COLUMNS and of the migration.
 */
import { packDetail } from './detail.ts';
import type { FlowReader } from './flow-reader.ts';
import { packPending } from './pending.ts';

export const FLOW_COLUMNS = [
  'time',
  'boot',
  'seq',
  'connection_ns',
  'packets',
  'bytes',
  'host_id',
  'source_identity',
  'destination_identity',
  'rule_id',
  'workload_id',
  'source_port',
  'destination_port',
  'detail',
  'protocol',
  'verdict',
  'drop_reason',
  'source_ip',
  'destination_ip',
  'frontend',
  'pending',
  'source_xlated',
  'owner',
] as const;

/** Signature, flags, length of the header's extension (PostgreSQL: COPY, Binary Format). */
export const COPY_HEAD: Uint8Array = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
export const COPY_TAIL: Uint8Array = Buffer.from([0xff, 0xff]);

/** Count, seven int8, ten int4, three int2, three inet of IPv6. */
const ROW_MAX_BYTES = 2 + 7 * 12 + 10 * 8 + 3 * 6 + 3 * 24;
/** A message of a thousand flows fits, mostly. */
const BUFFER_BYTES = 256 * 1024;
/** Postgres counts from 2000-01-01. */
export const PG_EPOCH_US = 946_684_800_000_000;
const TWO_32 = 4_294_967_296;
const INET_V4 = 2;
const INET_V6 = 3;

/** Microseconds of a number of nanoseconds in two halves, exactly: 2^32 = 4294967 * 1000 + 296. */
export const microsOf = (high: number, low: number): number => high * 4_294_967 + Math.floor((high * 296 + low) / 1000);

export class FlowRows {
  #bytes: Uint8Array = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;
  rows = 0;

  get length(): number {
    return this.#at;
  }

  clear(): void {
    this.#at = 0;
    this.rows = 0;
  }

  /** Hands the rows over and begins anew. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#at);
    this.#bytes = Buffer.allocUnsafeSlow(BUFFER_BYTES);
    this.#view = new DataView(this.#bytes.buffer);
    this.clear();
    return taken;
  }

  /** `owner`: of flow_owners, 0 for nobody. */
  append(flow: FlowReader, hostId: number, boot: number, seq: number, timeUs: number, owner: number): void {
    if (this.#at + ROW_MAX_BYTES > this.#bytes.length) this.#grow();
    const view = this.#view;
    let at = this.#at;
    view.setInt16(at, FLOW_COLUMNS.length);
    const time = timeUs - PG_EPOCH_US;
    view.setInt32(at + 2, 8);
    view.setInt32(at + 6, Math.floor(time / TWO_32));
    view.setInt32(at + 10, time % TWO_32);
    view.setInt32(at + 14, 8);
    view.setInt32(at + 18, Math.floor(boot / TWO_32));
    view.setInt32(at + 22, boot % TWO_32);
    view.setInt32(at + 26, 8);
    view.setInt32(at + 30, Math.floor(seq / TWO_32));
    view.setInt32(at + 34, seq % TWO_32);
    view.setInt32(at + 38, 8);
    view.setInt32(at + 42, flow.connectionHigh);
    view.setInt32(at + 46, flow.connectionLow);
    view.setInt32(at + 50, 8);
    view.setInt32(at + 54, flow.packetsHigh);
    view.setInt32(at + 58, flow.packetsLow);
    view.setInt32(at + 62, 8);
    view.setInt32(at + 66, flow.bytesHigh);
    view.setInt32(at + 70, flow.bytesLow);
    view.setInt32(at + 74, 4);
    view.setInt32(at + 78, hostId);
    view.setInt32(at + 82, 4);
    view.setInt32(at + 86, flow.sourceIdentity);
    view.setInt32(at + 90, 4);
    view.setInt32(at + 94, flow.destinationIdentity);
    view.setInt32(at + 98, 4);
    view.setInt32(at + 102, flow.ruleId);
    view.setInt32(at + 106, 4);
    view.setInt32(at + 110, flow.workloadId);
    view.setInt32(at + 114, 4);
    view.setInt32(at + 118, flow.sourcePort);
    view.setInt32(at + 122, 4);
    view.setInt32(at + 126, flow.destinationPort);
    view.setInt32(at + 130, 4);
    view.setInt32(at + 134, packDetail(flow));
    view.setInt32(at + 138, 2);
    view.setInt16(at + 142, flow.protocol);
    view.setInt32(at + 144, 2);
    view.setInt16(at + 148, flow.verdict);
    view.setInt32(at + 150, 2);
    view.setInt16(at + 154, flow.dropReason);
    at = this.#inet(at + 156, flow.message, flow.sourceAt, flow.addressBytes);
    at = this.#inet(at, flow.message, flow.destinationAt, flow.addressBytes);
    view.setInt32(at, 4);
    view.setInt32(at + 4, flow.frontend);
    view.setInt32(at + 8, 4);
    view.setInt32(at + 12, packPending(flow));
    at = this.#inet(at + 16, flow.message, flow.xlatedAt, flow.xlatedBytes);
    view.setInt32(at, 8);
    view.setInt32(at + 4, Math.floor(owner / TWO_32));
    view.setInt32(at + 8, owner % TWO_32);
    this.#at = at + 12;
    this.rows += 1;
  }

  /** Family, prefix bits, is_cidr, length, address (network_send of Postgres); null when there are no bytes. */
  #inet(at: number, from: Uint8Array, fromAt: number, length: number): number {
    const view = this.#view;
    if (length === 0) {
      view.setInt32(at, -1);
      return at + 4;
    }
    const bytes = this.#bytes;
    view.setInt32(at, 4 + length);
    bytes[at + 4] = length === 4 ? INET_V4 : INET_V6;
    bytes[at + 5] = length * 8;
    bytes[at + 6] = 0;
    bytes[at + 7] = length;
    for (let index = 0; index < length; index += 1) bytes[at + 8 + index] = from[fromAt + index] as number;
    return at + 8 + length;
  }

  #grow(): void {
    const bytes = Buffer.allocUnsafeSlow(this.#bytes.length * 2);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}
