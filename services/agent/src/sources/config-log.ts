// SPDX-License-Identifier: Apache-2.0
/**
 * Last-known-good configuration on disk: the signed envelopes as they came, so that what is read back is verified
 * again by the same keys. An append-only log with the newest record of a subject winning, rewritten when it has
 * grown to several times what lives in it.
 *
 * Invariant: what the kernel holds was in this log first (`flushed` is awaited before anything is applied), so an
 * agent that starts from the log alone never takes back what an earlier one enforced.
 */
import { type FileHandle, mkdir, open, readFile, rename, rm, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { frame, readFrames } from '../records.ts';

export interface StoredEnvelope {
  readonly subject: string;
  readonly signed: Uint8Array;
}

export interface LoadedConfig {
  readonly envelopes: readonly StoredEnvelope[];
  /** The first whole snapshot had been taken: what is not here did not exist. */
  readonly complete: boolean;
  /** What was wrong with the file; empty = nothing. */
  readonly damage: string;
}

const KIND = { ENVELOPE: 1, FORGET: 2, COMPLETE: 3 } as const;
const COMPACT_MIN_BYTES = 1 << 20;
const COMPACT_FACTOR = 3;

const encode = (kind: number, subject: string, signed: Uint8Array = new Uint8Array(0)): Buffer => {
  const name = Buffer.from(subject);
  const out = Buffer.allocUnsafe(3 + name.length + signed.length);
  out.writeUInt8(kind, 0);
  out.writeUInt16LE(name.length, 1);
  out.set(name, 3);
  out.set(signed, 3 + name.length);
  return frame(out);
};

const decode = (payload: Buffer): { kind: number; subject: string; signed: Buffer } => {
  const end = 3 + payload.readUInt16LE(1);
  return { kind: payload.readUInt8(0), subject: payload.toString('utf8', 3, end), signed: payload.subarray(end) };
};

export class ConfigLog {
  readonly #path: string;
  readonly #onTrouble: (what: string, cause: unknown) => void;
  #file: FileHandle | undefined;
  #bytes = 0;
  #liveBytes = 0;
  readonly #live = new Map<string, Uint8Array>();
  #complete = false;
  /** A record could not be written: the next write rewrites the file from memory. */
  #mustCompact = false;
  #queue: Buffer[] = [];
  #writing: Promise<void> | undefined;

  private constructor(path: string, onTrouble: (what: string, cause: unknown) => void) {
    this.#path = path;
    this.#onTrouble = onTrouble;
  }

  static async open(
    path: string,
    onTrouble: (what: string, cause: unknown) => void = () => {},
  ): Promise<{ log: ConfigLog; loaded: LoadedConfig }> {
    const log = new ConfigLog(path, onTrouble);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return Buffer.alloc(0);
      throw cause;
    });
    const { frames, validBytes, damage } = readFrames(file);
    for (const { payload } of frames) log.#replay(payload);
    if (validBytes < file.length) await truncate(path, validBytes);
    log.#bytes = validBytes;
    // A torn end is a kill in mid-write and costs what was not applied yet; anything else may hide removals and rules.
    const complete = log.#complete && damage !== 'corrupt';
    log.#complete = complete;
    return {
      log,
      loaded: {
        envelopes: [...log.#live].map(([subject, signed]) => ({ subject, signed })),
        complete,
        damage: damage === 'none' ? '' : `${path} holds a ${damage} record at byte ${validBytes} of ${file.length}`,
      },
    };
  }

  #replay(payload: Buffer): void {
    const { kind, subject, signed } = decode(payload);
    if (kind === KIND.ENVELOPE) this.#remember(subject, Buffer.from(signed));
    else if (kind === KIND.FORGET) this.#forget(subject);
    else if (kind === KIND.COMPLETE) this.#complete = true;
  }

  #remember(subject: string, signed: Uint8Array): void {
    this.#forget(subject);
    this.#live.set(subject, signed);
    this.#liveBytes += signed.length + subject.length;
  }

  #forget(subject: string): void {
    const old = this.#live.get(subject);
    if (!old) return;
    this.#liveBytes -= old.length + subject.length;
    this.#live.delete(subject);
  }

  /** A document or a signed tombstone, which stays so that the removed document can't be replayed. */
  put(subject: string, signed: Uint8Array): void {
    this.#remember(subject, signed);
    this.#append(encode(KIND.ENVELOPE, subject, signed));
  }

  /** Gone without a tombstone: its publisher no longer counts it. */
  forget(subject: string): void {
    if (!this.#live.has(subject)) return;
    this.#forget(subject);
    this.#append(encode(KIND.FORGET, subject));
  }

  markComplete(): void {
    if (this.#complete) return;
    this.#complete = true;
    this.#append(encode(KIND.COMPLETE, ''));
  }

  has(subject: string, signed: Uint8Array): boolean {
    const held = this.#live.get(subject);
    return held !== undefined && Buffer.compare(held, signed) === 0;
  }

  #append(record: Buffer): void {
    this.#queue.push(record);
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Everything put so far is in the file (or could not be written, which was said). */
  async flushed(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const records = this.#queue;
      this.#queue = [];
      try {
        const grown = this.#bytes > COMPACT_MIN_BYTES && this.#bytes > this.#liveBytes * COMPACT_FACTOR;
        if (grown || this.#mustCompact) {
          await this.#compact();
          continue;
        }
        this.#file ??= await open(this.#path, 'a', 0o600);
        await this.#file.writev(records);
        this.#bytes += records.reduce((sum, record) => sum + record.length, 0);
      } catch (cause) {
        // Enforcing what came matters more than remembering it: the bus still has it.
        this.#onTrouble('the last-known-good configuration could not be written', cause);
        this.#mustCompact = true;
        await this.#close();
        await truncate(this.#path, this.#bytes).catch(() => {});
      }
    }
  }

  /** Writes what lives to a new file, which then takes the place of the old one in one step. */
  async #compact(): Promise<void> {
    const next = `${this.#path}.new`;
    const records = [...this.#live].map(([subject, signed]) => encode(KIND.ENVELOPE, subject, signed));
    if (this.#complete) records.push(encode(KIND.COMPLETE, ''));
    const file = await open(next, 'w', 0o600);
    try {
      for (let i = 0; i < records.length; i += 512) await file.writev(records.slice(i, i + 512));
      await file.sync();
    } catch (cause) {
      await file.close();
      await rm(next, { force: true });
      throw cause;
    }
    await file.close();
    await rename(next, this.#path);
    await this.#close();
    this.#bytes = records.reduce((sum, record) => sum + record.length, 0);
    this.#mustCompact = false;
  }

  async #close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => {});
  }

  async close(): Promise<void> {
    await this.flushed();
    await this.#close();
  }
}
