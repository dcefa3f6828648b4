// SPDX-License-Identifier: Apache-2.0
/**
 * What a reader of the configuration holds, and the rules by which it changes. No I/O.
 *
 * Never backwards: a document is taken only when its (epoch, revision) is newer than what is held of its subject,
 * and, once everything up to a revision is known, only when it is newer than that: a removed document cannot be
 * replayed. Nothing goes because it is missing: that a document left without a tombstone is believed only when a
 * signed heartbeat of its publisher counts the documents that remain.
 */
import type { ConfigDocument } from '@weir/proto/weir/bus/v1/config_pb.js';
import type { ConfigKind } from './subjects.ts';
import { parseConfigSubject } from './subjects.ts';

export interface Position {
  readonly epoch: bigint;
  readonly revision: bigint;
}

export interface ConfigEntry {
  readonly subject: string;
  readonly kind: ConfigKind;
  readonly key: string;
  /** The entity is gone; `document.body` has no case. */
  readonly removed: boolean;
  readonly document: ConfigDocument;
  /** The envelope as it came, for a last-known-good on disk. */
  readonly signed: Uint8Array;
  /** How it came from the bus; absent for one from the disk. */
  readonly arrival?: Arrival;
}

/** Of a message, not of the document: the headers are not signed and decide nothing. */
export interface Arrival {
  /** Microseconds since 1970. */
  readonly receivedUs: number;
  /** W3C trace context of whoever published it. */
  readonly trace: Readonly<Record<string, string>>;
}

const compare = (a: Position, b: Position): number =>
  a.epoch === b.epoch ? Number(a.revision > b.revision) - Number(a.revision < b.revision) : a.epoch > b.epoch ? 1 : -1;

export const configEntry = (
  document: ConfigDocument,
  signed: Uint8Array,
  arrival?: Arrival,
): ConfigEntry | undefined => {
  const place = parseConfigSubject(document.subject);
  if (place === undefined) return undefined;
  return {
    subject: document.subject,
    ...place,
    removed: document.body.case === undefined,
    document,
    signed,
    ...(arrival === undefined ? {} : { arrival }),
  };
};

export type Applied = 'taken' | 'older' | 'gap';

export interface Heartbeat extends Position {
  readonly documents: bigint;
}

/** 'miscount': the same revision, yet not the same number of documents. */
export type HeartbeatVerdict = 'current' | 'behind' | 'older' | 'miscount';

export class ConfigState {
  /** Tombstones included: they protect against replay. */
  readonly #held = new Map<string, ConfigEntry>();
  /** Per publisher, the newest revision before which none is known to be missing. */
  readonly #positions = new Map<string, Position>();
  /** Positions at which the publisher's own count was met: what is not held there does not exist. */
  readonly #floors = new Map<string, Position>();
  readonly #live = new Map<string, number>();
  /** Held, but not in the last snapshot. */
  readonly #unconfirmed = new Set<string>();
  /** Last heartbeats, and whether a snapshot was read since. */
  readonly #beats = new Map<string, { readonly beat: Heartbeat; covered: boolean }>();

  positions(): Record<string, Position> {
    return Object.fromEntries(this.#positions);
  }

  /** Documents that exist. */
  entries(): ConfigEntry[] {
    return [...this.#held.values()].filter(({ removed }) => !removed);
  }

  /** Tombstones too. */
  held(subject: string): ConfigEntry | undefined {
    return this.#held.get(subject);
  }

  get(subject: string): ConfigEntry | undefined {
    const entry = this.#held.get(subject);
    return entry?.removed === false ? entry : undefined;
  }

  /** From the disk: older than what the bus has, perhaps, but never to be undercut. */
  preload(entry: ConfigEntry): void {
    if (this.#isNews(entry)) this.#hold(entry);
  }

  /** A document that was just published. 'gap': taken, but others of its publisher were missed before it. */
  live(entry: ConfigEntry): Applied {
    if (!this.#isNews(entry)) return 'older';
    const { document } = entry;
    this.#hold(entry);
    this.#unconfirmed.delete(entry.subject);
    const position = this.#positions.get(document.publisher);
    // Published again after the broker lost it.
    if (position !== undefined && compare(document, position) <= 0) return 'taken';
    if (position === undefined || document.epoch !== position.epoch || document.revision !== position.revision + 1n) {
      return 'gap';
    }
    this.#moveTo(document.publisher, document);
    return 'taken';
  }

  /** The whole configuration as the broker has it. */
  snapshot(entries: readonly ConfigEntry[]): void {
    const present = new Set<string>();
    for (const entry of entries) {
      present.add(entry.subject);
      if (this.#isNews(entry)) this.#hold(entry);
    }
    for (const { document } of entries) {
      const position = this.#positions.get(document.publisher);
      if (position === undefined || compare(document, position) > 0) this.#moveTo(document.publisher, document);
    }
    this.#unconfirmed.clear();
    for (const { subject, removed } of this.#held.values()) {
      if (!removed && !present.has(subject)) this.#unconfirmed.add(subject);
    }
    for (const beat of this.#beats.values()) beat.covered = true;
  }

  /** Compares with what a publisher says of itself; `gone` went because the publisher does not count it. */
  heartbeat(publisher: string, beat: Heartbeat): { verdict: HeartbeatVerdict; gone: readonly ConfigEntry[] } {
    const position = this.#positions.get(publisher) ?? { epoch: beat.epoch, revision: 0n };
    const order = compare(beat, position);
    if (order < 0) return { verdict: 'older', gone: [] };
    const last = this.#beats.get(publisher);
    const same = last !== undefined && compare(last.beat, beat) === 0;
    if (!same) this.#beats.set(publisher, { beat, covered: false });
    // A snapshot since the same heartbeat brought nothing newer: there is nothing newer but removals.
    if (order > 0 && !(same && last.covered)) return { verdict: 'behind', gone: [] };
    const live = this.#live.get(publisher) ?? 0;
    const missing = [...this.#unconfirmed]
      .flatMap((subject) => this.#held.get(subject) ?? [])
      .filter(({ document }) => document.publisher === publisher);
    const count = Number(beat.documents);
    if (live !== count && live - missing.length !== count)
      return { verdict: order > 0 ? 'behind' : 'miscount', gone: [] };
    this.#moveTo(publisher, beat);
    this.#floors.set(publisher, { epoch: beat.epoch, revision: beat.revision });
    return { verdict: 'current', gone: live === count ? [] : missing.map((entry) => this.#bury(entry)) };
  }

  #isNews({ subject, document }: ConfigEntry): boolean {
    const held = this.#held.get(subject);
    if (held !== undefined && compare(document, held.document) <= 0) return false;
    const floor = this.#floors.get(document.publisher);
    return floor === undefined || compare(document, floor) > 0;
  }

  #moveTo(publisher: string, { epoch, revision }: Position): void {
    this.#positions.set(publisher, { epoch, revision });
  }

  #hold(entry: ConfigEntry): void {
    const { publisher } = entry.document;
    const wasLive = this.#held.get(entry.subject)?.removed === false;
    this.#live.set(publisher, (this.#live.get(publisher) ?? 0) + Number(!entry.removed) - Number(wasLive));
    this.#held.set(entry.subject, entry);
  }

  /** A tombstone in our own words: it has the revision of what it replaces. */
  #bury(entry: ConfigEntry): ConfigEntry {
    const document: ConfigDocument = { ...entry.document, body: { case: undefined } };
    const tombstone: ConfigEntry = { ...entry, removed: true, document };
    this.#unconfirmed.delete(entry.subject);
    this.#hold(tombstone);
    return tombstone;
  }
}
