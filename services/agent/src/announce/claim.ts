// SPDX-License-Identifier: Apache-2.0
/**
 * One host's claim to the lease of one service. No clocks of hosts are compared: a lease is over when this host has seen
 * nothing new of its holder for as long as the lease says, by its own clock. A lease is written only over the message that was
 * read, so of several hosts that see its end one gets it, and who had it sees at its next renewal that it is lost.
 *
 * A holder that cannot reach the bus keeps what it has: nobody can tell it otherwise, and while the bus is away nobody can
 * take it. When only this host is cut off, who takes the lease says so on the link, where the datapath hears it.
 */
import { createHash } from 'node:crypto';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { StoredLease } from '@weir/bus';
import { type Lease, LeaseSchema } from '@weir/proto/weir/bus/v1/agent_pb.js';
import type { Candidacy } from './candidates.ts';

export interface LeaseStore {
  read(service: string): Promise<StoredLease | undefined>;
  /** The new sequence; undefined: another one was faster. */
  write(service: string, lease: MessageInitShape<typeof LeaseSchema>, over: number): Promise<number | undefined>;
}

export interface ClaimOptions {
  readonly host: string;
  readonly boot: bigint;
  readonly store: LeaseStore;
  /** Interfaces on which it answers, by name. */
  readonly interfaces: (candidacy: Candidacy) => readonly string[];
  /** Of a clock that only goes forward. */
  readonly nowMs?: () => number;
}

/** unknown: the lease was not read yet. unconfirmed: held, but not renewed in time. */
export type ClaimState = 'unknown' | 'waiting' | 'held' | 'unconfirmed';

interface Held {
  readonly acquiredMs: bigint;
  readonly transitions: bigint;
  readonly renewals: bigint;
}

const versionOf = ({ holder, boot, acquiredMs, renewals }: Lease): string =>
  `${holder} ${boot} ${acquiredMs} ${renewals}`;

/** 0 to 1, the same for a host and a service: hosts do not all take everything at once. */
const shareOf = (host: string, service: string): number =>
  createHash('sha256').update(`${host} ${service}`).digest().readUInt32BE(0) / 2 ** 32;

export class Claim {
  candidacy: Candidacy;
  readonly #options: ClaimOptions;
  readonly #now: () => number;
  #stored: StoredLease | undefined;
  #isRead = false;
  #version = '';
  /** When something new of the holder was last seen. */
  #seenMs = 0;
  #held: Held | undefined;
  #confirmedMs = 0;
  /** When it is to be looked at again. */
  dueMs = 0;

  constructor(candidacy: Candidacy, options: ClaimOptions) {
    this.candidacy = candidacy;
    this.#options = options;
    this.#now = options.nowMs ?? (() => performance.now());
  }

  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** Has it been decided whose it is? */
  get isDecided(): boolean {
    return this.#isRead;
  }

  get state(): ClaimState {
    if (this.#held) return this.#now() - this.#confirmedMs > this.candidacy.deadlineMs ? 'unconfirmed' : 'held';
    return this.#isRead ? 'waiting' : 'unknown';
  }

  /** Unix milliseconds since when it is held; undefined: it is not. */
  get sinceMs(): number | undefined {
    return this.#held && Number(this.#held.acquiredMs);
  }

  get holder(): string {
    return this.#held ? this.#options.host : (this.#stored?.lease.holder ?? '');
  }

  /** Somebody's message on the bus, which the stream may have refused: a hint. */
  hear(lease: Lease): void {
    if (this.#held || !this.#isRead) return;
    if (lease.holder !== '' && lease.holder === this.#stored?.lease.holder) {
      if (versionOf(lease) === this.#version) return;
      this.#version = versionOf(lease);
      this.#seenMs = this.#now();
      this.dueMs = this.#seenMs + this.candidacy.leaseMs;
      return;
    }
    // Another holder, or none: the stream knows.
    this.#isRead = false;
    this.dueMs = 0;
  }

  /** Does what is due: renews, watches, takes. Throws when the bus is not reached. */
  async step(): Promise<void> {
    this.dueMs = this.#now() + this.candidacy.retryMs;
    if (this.#held) return this.#renew(this.#held);
    if (!this.#isRead) await this.#read();
    const lease = this.#stored?.lease;
    const { host } = this.#options;
    if (lease?.holder === host) return this.#take(lease, lease.acquiredMs, lease.transitions);
    if (!lease || lease.holder === '') {
      const leftMs = this.#seenMs + shareOf(host, this.candidacy.service) * this.candidacy.retryMs - this.#now();
      if (leftMs <= 0) return this.#take(lease, BigInt(Date.now()), (lease?.transitions ?? 0n) + 1n);
      this.dueMs = this.#now() + leftMs;
      return;
    }
    if (this.#leftMs(lease) > 0) {
      this.dueMs = this.#now() + this.#leftMs(lease);
      return;
    }
    // Messages on the bus are hints: what stands in the stream counts.
    await this.#read();
    if (this.#stored === undefined || this.#leftMs(this.#stored.lease) > 0) this.dueMs = this.#now();
    else await this.#take(this.#stored.lease, BigInt(Date.now()), this.#stored.lease.transitions + 1n);
  }

  /** Gives it back, so that another host need not wait. */
  async release(): Promise<void> {
    const held = this.#held;
    this.#held = undefined;
    if (!held) return;
    const { boot, store } = this.#options;
    const lease = { holder: '', boot, transitions: held.transitions, renewals: held.renewals };
    await store.write(this.candidacy.service, lease, this.#stored?.seq ?? 0);
  }

  #leftMs({ durationMs }: Lease): number {
    return this.#seenMs + (durationMs || this.candidacy.leaseMs) - this.#now();
  }

  async #read(): Promise<void> {
    this.#stored = await this.#options.store.read(this.candidacy.service);
    this.#isRead = true;
    const version = this.#stored ? versionOf(this.#stored.lease) : 'none';
    if (version === this.#version) return;
    this.#version = version;
    this.#seenMs = this.#now();
  }

  async #write(held: Held): Promise<boolean> {
    const { host, boot, store, interfaces } = this.#options;
    const { service, addresses, leaseMs, announcement } = this.candidacy;
    const sentMs = this.#now();
    const lease = {
      ...{ holder: host, boot, ...held, renewedMs: BigInt(Date.now()), durationMs: leaseMs, announcement },
      ...{ addresses: [...addresses], interfaces: [...interfaces(this.candidacy)] },
    };
    const seq = await store.write(service, lease, this.#stored?.seq ?? 0);
    if (seq === undefined) return false;
    this.#stored = { lease: create(LeaseSchema, lease), seq, timeMs: Date.now() };
    this.#version = versionOf(this.#stored.lease);
    this.#seenMs = sentMs;
    this.#held = held;
    // Before it was sent: others may have read it at once.
    this.#confirmedMs = sentMs;
    return true;
  }

  async #take(over: Lease | undefined, acquiredMs: bigint, transitions: bigint): Promise<void> {
    // When the answer is lost, what stands in the stream tells whether it was written.
    this.#isRead = false;
    const isWritten = await this.#write({ acquiredMs, transitions, renewals: (over?.renewals ?? 0n) + 1n });
    this.#isRead = isWritten;
    if (!isWritten) this.dueMs = this.#now();
  }

  async #renew(held: Held): Promise<void> {
    if (await this.#write({ ...held, renewals: held.renewals + 1n })) return;
    await this.#read();
    const lease = this.#stored?.lease;
    const { host, boot } = this.#options;
    // A renewal of ours whose answer was lost.
    if (lease?.holder === host && lease.boot === boot && lease.acquiredMs === held.acquiredMs) {
      this.#held = { ...held, renewals: lease.renewals };
      this.dueMs = this.#now();
      return;
    }
    this.#held = undefined;
  }
}
