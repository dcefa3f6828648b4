// SPDX-License-Identifier: Apache-2.0
/**
 * The bounded spool on disk between the ring buffer and the bus. A batch is written here before it is published
 * and stays until analytics says that it has committed it (an acknowledgement of the bus is not durability).
 *
 * Layout: <dir>/<boot>/<first sequence number>.seg. Written through the page cache, without fsync: it survives the
 * death of the agent, not of the machine (whose connections die with it).
 *
 * Invariants: order within a boot is kept; the files together never exceed `maxBytes`; what has to be shed is the
 * oldest, first what passed, then what was refused; counted by sequence numbers exactly once, and never silently:
 * `lost` counts events of this boot that were never given to the bus, `lostEarlier` those of boots before.
 */
import { type FileHandle, mkdir, open, readdir, readFile, rm, rmdir, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { frame, readFrames } from '../records.ts';
import { condense } from './condense.ts';
import { LossLedger, type LostRange } from './losses.ts';
import { encodeRecord, Segment, type SpoolBatch, type SpoolRecord } from './segment.ts';

export interface SpoolOptions {
  readonly dir: string;
  /** Start of this agent, unix ms. */
  readonly boot: bigint;
  readonly maxBytes: number;
  /** Size at which a file is closed and the next begun. */
  readonly segmentBytes?: number;
  /** Bytes that may wait in memory for a disk that is slow; beyond, batches are shed. */
  readonly queueBytes?: number;
  readonly onAppended?: () => void;
  readonly onTrouble?: (what: string, cause: unknown) => void;
}

export interface SpoolStats {
  readonly bytes: number;
  readonly segments: number;
  /** Events in the spool, committed or not. */
  readonly events: number;
  /** Shed before any publish was tried, of this boot. */
  readonly lost: bigint;
  readonly lostEarlier: bigint;
  readonly lostRanges: readonly LostRange[];
  /** First acknowledgements of the bus, events of this boot. */
  readonly published: bigint;
  readonly committedSeq: bigint;
}

interface Waiting {
  readonly batch: SpoolBatch;
  readonly settled: () => void;
}

const SEGMENT_NAME = /^\d{20}\.seg$/;
/** Waits before acknowledged but uncommitted segments are sent again; the first two lie inside the 120 s in which
 * the bus recognises a repetition, so they cost no storage. */
const RESEND_AFTER_MS = [30_000, 60_000, 600_000];

export class Spool {
  readonly #options: Required<SpoolOptions>;
  #segments: Segment[] = [];
  #tail: { segment: Segment; file: FileHandle } | undefined;
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #writing: Promise<void> | undefined;
  #bytes = 0;
  readonly #losses: LossLedger;
  #published = 0n;
  #committed = new Map<bigint, bigint>();

  private constructor(options: SpoolOptions) {
    this.#losses = new LossLedger(options.boot);
    this.#options = {
      segmentBytes: Math.max(64 << 10, Math.min(1 << 20, Math.floor(options.maxBytes / 16))),
      queueBytes: 8 << 20,
      onAppended: () => {},
      onTrouble: () => {},
      ...options,
    };
  }

  static async open(options: SpoolOptions): Promise<Spool> {
    const spool = new Spool(options);
    await mkdir(join(options.dir, String(options.boot)), { recursive: true, mode: 0o700 });
    const boots = (await readdir(options.dir))
      .filter((name) => /^\d+$/.test(name))
      .sort((a, b) => Number(a) - Number(b));
    for (const boot of boots) await spool.#restoreBoot(BigInt(boot));
    await spool.#shed(0);
    return spool;
  }

  async #restoreBoot(boot: bigint): Promise<void> {
    const dir = join(this.#options.dir, String(boot));
    for (const name of (await readdir(dir)).filter((entry) => SEGMENT_NAME.test(entry)).sort()) {
      const path = join(dir, name);
      const file = await readFile(path);
      const { validBytes, damage } = readFrames(file);
      if (damage !== 'none') {
        // Torn by a kill in mid-write: that batch was never published, and its events never had a reader.
        this.#options.onTrouble(
          `spool file ${path} ends in a ${damage} record; ${file.length - validBytes} bytes cut`,
          undefined,
        );
        await truncate(path, validBytes);
      }
      const segment = Segment.restore(boot, path, file.subarray(0, validBytes));
      if (!segment) {
        await rm(path, { force: true });
        continue;
      }
      this.#segments.push(segment);
      this.#bytes += segment.bytes;
    }
    if (boot !== this.#options.boot) await this.#removeEmptyDir(boot);
  }

  async #removeEmptyDir(boot: bigint): Promise<void> {
    if (boot === this.#options.boot || this.#segments.some((segment) => segment.boot === boot)) return;
    await rmdir(join(this.#options.dir, String(boot))).catch(() => {});
  }

  /** Never blocks and never rejects; what can't be kept is counted. Settles when the batch is on disk or counted. */
  append(batch: SpoolBatch): Promise<void> {
    if (this.#queuedBytes > this.#options.queueBytes) {
      this.#loseBatch(batch);
      return Promise.resolve();
    }
    return new Promise((settled) => {
      this.#queue.push({ batch, settled });
      this.#queuedBytes += batch.bytes.length;
      this.#writing ??= this.#drain().finally(() => {
        this.#writing = undefined;
      });
    });
  }

  /** Resolves when everything appended so far is on disk or counted as lost. */
  async flushed(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const waiting = this.#queue;
      this.#queue = [];
      this.#queuedBytes = 0;
      for (let from = 0; from < waiting.length; ) {
        const first = from;
        const group: { batch: SpoolBatch; framed: Buffer }[] = [];
        let groupBytes = 0;
        while (from < waiting.length && (group.length === 0 || groupBytes < this.#options.segmentBytes / 4)) {
          const { batch } = waiting[from++] as Waiting;
          const framed = frame(encodeRecord(batch));
          group.push({ batch, framed });
          groupBytes += framed.length;
        }
        await this.#write(group, groupBytes);
        for (const { settled } of waiting.slice(first, from)) settled();
        this.#options.onAppended();
      }
    }
  }

  async #write(group: readonly { batch: SpoolBatch; framed: Buffer }[], groupBytes: number): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#shed(groupBytes);
        const tail = await this.#tailFor(group[0]?.batch.firstSeq ?? 0n);
        await tail.file.writev(
          group.map(({ framed }) => framed),
          tail.segment.bytes,
        );
        for (const { batch, framed } of group) tail.segment.add(batch, framed.length);
        this.#bytes += groupBytes;
        return;
      } catch (cause) {
        this.#options.onTrouble('a batch could not be written to the spool', cause);
        await this.#abandonTail();
        // A full disk: our own oldest file makes room, once.
        if (attempt === 0 && (await this.#shedOldest())) continue;
        for (const { batch } of group) this.#loseBatch(batch);
        return;
      }
    }
  }

  async #tailFor(firstSeq: bigint): Promise<{ segment: Segment; file: FileHandle }> {
    if (this.#tail && this.#tail.segment.bytes < this.#options.segmentBytes) return this.#tail;
    await this.#sealTail();
    const path = join(this.#options.dir, String(this.#options.boot), `${String(firstSeq).padStart(20, '0')}.seg`);
    const file = await open(path, 'w', 0o600);
    const segment = new Segment(this.#options.boot, path, firstSeq);
    this.#tail = { segment, file };
    this.#segments.push(segment);
    return this.#tail;
  }

  async #sealTail(): Promise<void> {
    const tail = this.#tail;
    if (!tail) return;
    this.#tail = undefined;
    tail.segment.seal();
    if (tail.segment.cursor === 0 || tail.segment.allAcked) tail.segment.unload();
    await tail.file.close();
  }

  /** After a failed write: what was half written is cut, and the next batch begins a new file. */
  async #abandonTail(): Promise<void> {
    const tail = this.#tail;
    await this.#sealTail().catch(() => {});
    if (!tail) return;
    await truncate(tail.segment.path, tail.segment.bytes).catch(() => {});
    if (tail.segment.records === 0) await this.#drop(tail.segment);
  }

  async #drop(segment: Segment): Promise<void> {
    const index = this.#segments.indexOf(segment);
    if (index < 0) return;
    this.#segments.splice(index, 1);
    this.#bytes -= segment.bytes;
    if (this.#tail?.segment === segment) {
      const { file } = this.#tail;
      this.#tail = undefined;
      await file.close();
    }
    await rm(segment.path, { force: true });
    await this.#removeEmptyDir(segment.boot);
  }

  /** Makes room for `incoming` bytes. */
  async #shed(incoming: number): Promise<void> {
    while (this.#bytes + incoming > this.#options.maxBytes && (await this.#shedOldest()));
  }

  async #shedOldest(): Promise<boolean> {
    const dense = this.#segments.find(
      (segment) => segment.sealed && !segment.condensed && segment.cursor === 0 && segment.ambiguous === 0,
    );
    if (dense) {
      await this.#condense(dense);
      return true;
    }
    const victim = this.#segments.find((segment) => segment.ambiguous === 0) ?? this.#segments[0];
    if (!victim) return false;
    this.#loseSegment(victim);
    await this.#drop(victim);
    return true;
  }

  async #condense(segment: Segment): Promise<void> {
    segment.condensed = true;
    segment.frozen = true;
    try {
      const rest = await condense(segment);
      const removed = segment.unsentEvents - (rest?.events ?? 0);
      this.#losses.add(segment.boot, segment.firstSeq, segment.endSeq, removed);
      if (!rest) {
        await this.#drop(segment);
        return;
      }
      this.#bytes += rest.bytes - segment.bytes;
      this.#segments[this.#segments.indexOf(segment)] = rest;
    } catch (cause) {
      // A full disk, say: it will be shed whole.
      this.#options.onTrouble(`spool file ${segment.path} could not be reduced`, cause);
    } finally {
      segment.frozen = false;
    }
  }

  #loseBatch({ firstSeq, count }: SpoolBatch): void {
    this.#losses.add(this.#options.boot, firstSeq, firstSeq + BigInt(count), count);
  }

  #loseSegment(segment: Segment): void {
    this.#losses.add(segment.boot, segment.unsentFrom, segment.endSeq, segment.unsentEvents);
  }

  /** The next record to publish, oldest first; undefined when all were sent. */
  async next(): Promise<SpoolRecord | undefined> {
    for (;;) {
      const segment = this.#segments.find((candidate) => candidate.hasPending && !candidate.frozen);
      if (!segment) return undefined;
      if (!segment.loaded) {
        try {
          segment.load(await readFile(segment.path));
        } catch (cause) {
          this.#options.onTrouble(`spool file ${segment.path} could not be read; its events are lost`, cause);
          this.#loseSegment(segment);
          await this.#drop(segment);
          continue;
        }
        if (segment.frozen || !this.#segments.includes(segment)) continue;
      }
      const record = segment.take();
      if (record) return record;
      // Every record from the cursor on is acknowledged (or the file shrank): nothing pending here.
      segment.cursor = segment.records;
    }
  }

  async acked(record: SpoolRecord, nowMs = performance.now()): Promise<void> {
    if (record.segment.ack(record.index, nowMs) && record.boot === this.#options.boot) {
      this.#published += BigInt(record.count);
    }
    await this.#release();
  }

  /** After a failed publish, once none is in flight: the unacknowledged are sent again. */
  rewind(): void {
    for (const segment of this.#segments) if (segment.cursor > 0) segment.rewind();
  }

  /** Analytics has committed everything of `boot` up to and including `seq`. */
  async committed(boot: bigint, seq: bigint): Promise<void> {
    if (seq <= (this.#committed.get(boot) ?? 0n)) return;
    this.#committed.set(boot, seq);
    await this.#release();
  }

  async #release(): Promise<void> {
    for (const segment of [...this.#segments]) {
      if (!segment.sealed && segment.bytes < this.#options.segmentBytes / 8) continue;
      if (segment.allAcked && segment.records > 0 && segment.endSeq - 1n <= (this.#committed.get(segment.boot) ?? 0n)) {
        if (!segment.sealed && this.#writing) continue;
        await this.#drop(segment);
      }
    }
  }

  /** The bus came back and may have forgotten what it acknowledged: all that is not committed goes again. */
  resendUncommitted(): void {
    for (const segment of this.#segments) segment.resend();
  }

  /** Segments acknowledged long ago whose commit never came. Returns how many are sent again. */
  resendOverdue(nowMs = performance.now()): number {
    const overdue = this.#segments.filter((segment) => {
      const wait = RESEND_AFTER_MS[Math.min(segment.resends, RESEND_AFTER_MS.length - 1)] ?? 0;
      const committed = segment.endSeq - 1n <= (this.#committed.get(segment.boot) ?? 0n);
      return segment.ackedAtMs > 0 && !committed && segment.allAcked && nowMs - segment.ackedAtMs > wait;
    });
    for (const segment of overdue) segment.resend();
    return overdue.length;
  }

  get hasUnsent(): boolean {
    return this.#segments.some((segment) => segment.hasPending || segment.ambiguous > 0);
  }

  stats(): SpoolStats {
    return {
      bytes: this.#bytes,
      segments: this.#segments.length,
      events: this.#segments.reduce((sum, segment) => sum + segment.events, 0),
      lost: this.#losses.total,
      lostEarlier: this.#losses.totalEarlier,
      lostRanges: this.#losses.ranges,
      published: this.#published,
      committedSeq: this.#committed.get(this.#options.boot) ?? 0n,
    };
  }

  /** Writes what waits and closes. A file that is wholly committed is not left for the next boot to replay. */
  async close(): Promise<void> {
    await this.flushed();
    await this.#sealTail();
    await this.#release();
  }
}
