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
 * `lost` counts events of this boot that were never given to the bus, `lostEarlier` those of boots before. In the place
 * of what is lost a batch without it goes to the bus, so that readers know, and wait for nothing.
 */
import { type FileHandle, mkdir, open, readdir, readFile, rm, rmdir, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { bury, condense, join as joinTombstones } from './condense.ts';
import { noneShed, sparseBatch } from './flow-bytes.ts';
import { LossLedger } from './losses.ts';
import { restoreSegment } from './restore.ts';
import {
  endOf,
  type FramedRecord,
  framedRecord,
  Segment,
  type SpoolBatch,
  type SpoolRecord,
  segmentPath,
} from './segment.ts';
import type { SpoolOptions, SpoolStats } from './spool-facts.ts';

export type { SpoolOptions, SpoolStats } from './spool-facts.ts';

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
  /** Lost before they were in any file, and not told in one yet; numbers of this boot, half open. */
  #holes: { readonly from: bigint; to: bigint }[] = [];
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
    const dir = this.#dirOf(boot);
    for (const name of (await readdir(dir)).filter((entry) => SEGMENT_NAME.test(entry)).sort()) {
      const segment = await restoreSegment(boot, join(dir, name), this.#options.onTrouble);
      if (!segment) continue;
      this.#segments.push(segment);
      this.#bytes += segment.bytes;
    }
    if (boot !== this.#options.boot) await this.#removeEmptyDir(boot);
  }

  async #removeEmptyDir(boot: bigint): Promise<void> {
    if (boot === this.#options.boot || this.#segments.some((segment) => segment.boot === boot)) return;
    await rmdir(this.#dirOf(boot)).catch(() => {});
  }

  #dirOf(boot: bigint): string {
    return join(this.#options.dir, String(boot));
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
      this.#startWriting();
    });
  }

  #startWriting(): void {
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined;
      // Appended after the last look at the queue.
      if (this.#queue.length > 0) this.#startWriting();
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
        const group: FramedRecord[] = [];
        let groupBytes = 0;
        while (from < waiting.length && (group.length === 0 || groupBytes < this.#options.segmentBytes / 4)) {
          const { batch } = waiting[from++] as Waiting;
          const framed = framedRecord(batch);
          group.push(framed);
          groupBytes += framed.fileBytes;
        }
        await this.#write(group, groupBytes);
        for (const { settled } of waiting.slice(first, from)) settled();
        this.#options.onAppended();
      }
    }
  }

  async #write(group: readonly FramedRecord[], groupBytes: number): Promise<void> {
    const firstSeq = group[0]?.batch.firstSeq ?? 0n;
    const holes = this.#holes.filter(({ to }) => to <= firstSeq);
    const told = holes.map(({ from, to }) => sparseBatch(this.#options.boot, from, to, [], noneShed()));
    const all = [...told.map(framedRecord), ...group];
    const written = all.reduce((sum, { fileBytes }) => sum + fileBytes, 0);
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#shed(groupBytes);
        const tail = await this.#tailFor(holes[0]?.from ?? firstSeq);
        await tail.file.writev(
          all.flatMap(({ pieces }) => pieces),
          tail.segment.bytes,
        );
        for (const { batch, fileBytes } of all) tail.segment.add(batch, fileBytes);
        this.#bytes += written;
        this.#holes = this.#holes.filter((hole) => !holes.includes(hole));
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
    const path = segmentPath(this.#dirOf(this.#options.boot), firstSeq);
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
    const victims = this.#segments.filter((segment) => !segment.isTombstone && !segment.frozen);
    const victim = victims.find((segment) => segment.ambiguous === 0) ?? victims[0];
    if (!victim) return false;
    await this.#bury(victim);
    return true;
  }

  async #condense(segment: Segment): Promise<void> {
    segment.condensed = true;
    segment.frozen = true;
    try {
      const rest = await condense(segment);
      this.#losses.add(segment.boot, segment.firstSeq, segment.endSeq, segment.unsentEvents - rest.events);
      this.#putInPlace(segment, rest);
      if (rest.isTombstone) await this.#joinWithBefore(rest);
    } catch (cause) {
      // A full disk, say: it will be shed whole.
      this.#options.onTrouble(`spool file ${segment.path} could not be reduced`, cause);
    } finally {
      segment.frozen = false;
    }
  }

  /** All that was never sent of it is lost; the file that stays says so. */
  async #bury(segment: Segment): Promise<void> {
    segment.frozen = true;
    if (this.#tail?.segment === segment) await this.#sealTail();
    this.#losses.add(segment.boot, segment.unsentFrom, segment.endSeq, segment.unsentEvents);
    if (segment.unsentFrom >= segment.endSeq) {
      await this.#drop(segment);
      return;
    }
    try {
      const rest = await bury(segment);
      if (rest.path !== segment.path) await rm(segment.path, { force: true });
      this.#putInPlace(segment, rest);
      await this.#joinWithBefore(rest);
    } catch (cause) {
      this.#options.onTrouble(`what spool file ${segment.path} lost could not be noted in it`, cause);
      await this.#drop(segment);
    }
  }

  #putInPlace(segment: Segment, rest: Segment): void {
    this.#bytes += rest.bytes - segment.bytes;
    this.#segments[this.#segments.indexOf(segment)] = rest;
  }

  /** A long outage leaves one tombstone, not thousands. */
  async #joinWithBefore(segment: Segment): Promise<void> {
    const before = this.#segments[this.#segments.indexOf(segment) - 1];
    const isFresh = (one: Segment): boolean => one.cursor === 0 && one.isTombstone && !one.frozen;
    if (!before || before.boot !== segment.boot || before.endSeq !== segment.firstSeq) return;
    if (!isFresh(before) || !isFresh(segment)) return;
    before.frozen = true;
    segment.frozen = true;
    try {
      const joined = await joinTombstones(before, segment);
      this.#putInPlace(before, joined);
      await this.#drop(segment);
    } catch (cause) {
      this.#options.onTrouble(`spool file ${segment.path} could not be joined with the one before`, cause);
      before.frozen = false;
      segment.frozen = false;
    }
  }

  #loseBatch(batch: SpoolBatch): void {
    const { firstSeq: from, count } = batch;
    const to = endOf(batch);
    this.#losses.add(this.#options.boot, from, to, count);
    const last = this.#holes.at(-1);
    if (last && last.to === from) last.to = to;
    else this.#holes.push({ from, to });
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
          await this.#bury(segment);
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
