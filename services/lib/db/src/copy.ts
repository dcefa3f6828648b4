// SPDX-License-Identifier: Apache-2.0
/**
 * Binary COPY: the fastest way into a table. The writer lays out PGCOPY's binary format (signature, then per row
 * a field count and length-prefixed fields, big-endian) straight into chunks; nothing is allocated per row.
 */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { translateFailure } from './failures.ts';

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
/** Large enough that the socket sees few writes, small enough to stay in the cache. */
const CHUNK_BYTES = 256 * 1024;
const NULL_LENGTH = -1;
/** Postgres counts from 2000-01-01. */
const PG_EPOCH_MS = 946_684_800_000;
const PG_EPOCH_US = 946_684_800_000_000n;
const OIDS = { int4: 23, int8: 20, text: 25 } as const;

/** Fields must be written in the order of the columns, with the columns' exact types. */
export class CopyWriter {
  #chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  #at = 0;
  readonly #full: Buffer[] = [];
  #rows = 0;

  constructor() {
    this.#room(19);
    this.#at += SIGNATURE.copy(this.#chunk, this.#at);
    this.#at = this.#chunk.writeInt32BE(0, this.#at);
    this.#at = this.#chunk.writeInt32BE(0, this.#at);
  }

  get rows(): number {
    return this.#rows;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#chunk.length) return;
    this.#full.push(this.#chunk.subarray(0, this.#at));
    this.#chunk = Buffer.allocUnsafe(Math.max(CHUNK_BYTES, bytes));
    this.#at = 0;
  }

  #length(bytes: number): void {
    this.#room(4 + bytes);
    this.#at = this.#chunk.writeInt32BE(bytes, this.#at);
  }

  row(fields: number): void {
    this.#rows += 1;
    this.#room(2);
    this.#at = this.#chunk.writeInt16BE(fields, this.#at);
  }

  null(): void {
    this.#room(4);
    this.#at = this.#chunk.writeInt32BE(NULL_LENGTH, this.#at);
  }

  bool(value: boolean): void {
    this.#length(1);
    this.#at = this.#chunk.writeUInt8(value ? 1 : 0, this.#at);
  }

  int2(value: number): void {
    this.#length(2);
    this.#at = this.#chunk.writeInt16BE(value, this.#at);
  }

  int4(value: number): void {
    this.#length(4);
    this.#at = this.#chunk.writeInt32BE(value, this.#at);
  }

  int8(value: bigint): void {
    this.#length(8);
    this.#at = this.#chunk.writeBigInt64BE(value, this.#at);
  }

  float8(value: number): void {
    this.#length(8);
    this.#at = this.#chunk.writeDoubleBE(value, this.#at);
  }

  text(value: string): void {
    // Postgres text holds no zero byte.
    const clean = value.includes('\0') ? value.replaceAll('\0', '\ufffd') : value;
    const bytes = Buffer.byteLength(clean);
    this.#length(bytes);
    this.#at += this.#chunk.write(clean, this.#at, 'utf8');
  }

  jsonb(value: unknown): void {
    const json = JSON.stringify(value).replaceAll('\\u0000', '\\ufffd');
    this.#length(1 + Buffer.byteLength(json));
    this.#at = this.#chunk.writeUInt8(1, this.#at);
    this.#at += this.#chunk.write(json, this.#at, 'utf8');
  }

  bytea(value: Uint8Array): void {
    this.#length(value.length);
    this.#chunk.set(value, this.#at);
    this.#at += value.length;
  }

  timestamptzMs(unixMs: number): void {
    this.#length(8);
    this.#at = this.#chunk.writeBigInt64BE(BigInt(Math.round((unixMs - PG_EPOCH_MS) * 1000)), this.#at);
  }

  /** Postgres keeps microseconds; the rest is cut. */
  timestamptzNs(unixNs: bigint): void {
    this.#length(8);
    this.#at = this.#chunk.writeBigInt64BE(unixNs / 1000n - PG_EPOCH_US, this.#at);
  }

  /** `address` is 4 or 16 bytes, or 16 bytes with a v4-mapped address, which becomes an IPv4 one. */
  inet(address: Uint8Array): void {
    const v4 = address.length === 4 ? address : isV4Mapped(address) ? address.subarray(12) : undefined;
    const bytes = v4 ?? address;
    this.#length(4 + bytes.length);
    this.#at = this.#chunk.writeUInt8(v4 ? 2 : 3, this.#at);
    this.#at = this.#chunk.writeUInt8(bytes.length * 8, this.#at);
    this.#at = this.#chunk.writeUInt8(0, this.#at);
    this.#at = this.#chunk.writeUInt8(bytes.length, this.#at);
    this.#chunk.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  int4Array(values: readonly number[]): void {
    this.#arrayHead(values.length, OIDS.int4, values.length * 8);
    for (const value of values) this.int4(value);
  }

  textArray(values: readonly string[]): void {
    const clean = values.map((value) => (value.includes('\0') ? value.replaceAll('\0', '\ufffd') : value));
    this.#arrayHead(
      clean.length,
      OIDS.text,
      clean.reduce((sum, value) => sum + 4 + Buffer.byteLength(value), 0),
    );
    for (const value of clean) this.text(value);
  }

  #arrayHead(count: number, elementOid: number, bodyBytes: number): void {
    this.#length((count === 0 ? 12 : 20) + bodyBytes);
    this.#at = this.#chunk.writeInt32BE(count === 0 ? 0 : 1, this.#at);
    this.#at = this.#chunk.writeInt32BE(0, this.#at);
    this.#at = this.#chunk.writeInt32BE(elementOid, this.#at);
    if (count === 0) return;
    this.#at = this.#chunk.writeInt32BE(count, this.#at);
    this.#at = this.#chunk.writeInt32BE(1, this.#at);
  }

  /** Ends the data; the writer must not be used after. */
  finish(): Buffer[] {
    this.#room(2);
    this.#at = this.#chunk.writeInt16BE(-1, this.#at);
    this.#full.push(this.#chunk.subarray(0, this.#at));
    return this.#full;
  }
}

const isV4Mapped = (address: Uint8Array): boolean => {
  if (address[10] !== 0xff || address[11] !== 0xff) return false;
  for (let index = 0; index < 10; index += 1) if (address[index] !== 0) return false;
  return true;
};

/** Copies what `write` writes; the connection may be in a transaction. Returns the number of rows. */
export const copyBinary = async (
  client: pg.ClientBase,
  table: string,
  columns: readonly string[],
  write: (writer: CopyWriter) => void,
): Promise<number> => {
  const writer = new CopyWriter();
  write(writer);
  if (writer.rows === 0) return 0;
  const stream = client.query(copyFrom(`copy ${table} (${columns.join(', ')}) from stdin (format binary)`));
  try {
    await pipeline(Readable.from(writer.finish()), stream);
    return stream.rowCount;
  } catch (error) {
    throw translateFailure(error);
  }
};

/** The same on a connection of the pool's own. */
export const copyBinaryInto = async (
  pool: pg.Pool,
  table: string,
  columns: readonly string[],
  write: (writer: CopyWriter) => void,
): Promise<number> => {
  const client = await pool.connect();
  let failed = true;
  try {
    const rows = await copyBinary(client, table, columns, write);
    failed = false;
    return rows;
  } finally {
    client.release(failed);
  }
};
