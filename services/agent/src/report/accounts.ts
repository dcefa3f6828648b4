// SPDX-License-Identifier: Apache-2.0
/**
 * What was counted, and since when. The kernel's counters outlive agents: what the ring buffer lost while none ran
 * belongs to the next one's account, so each keeps on disk up to where it has told.
 */
import { FIRST_SEQ } from '../boot.ts';
import type { EventPump } from '../events/pump.ts';
import type { Counters, Platform, SweepResult } from '../platform.ts';
import type { StateFile } from '../state-file.ts';

/** Connections that the kernel dropped to make room; what they had not reported yet is in no flow. */
const EVICTED = 'ct_evicted';
/** Mappings of the masquerade that went the same way: a connection that is used again gets another port. */
const NAT_EVICTED = 'nat_evicted';

/** What sockets asked for, and clients that stayed with a backend, since this agent began. */
const SOCKETS_EVICTED = 'service_sockets_evicted';
const CLIENTS_EVICTED = 'service_clients_evicted';

/** Counters that were made anew count from nothing again. */
const before = (told: bigint, now: bigint): bigint => (told <= now ? told : 0n);

const counted = (named: Counters['named'], name: string): bigint => named[name] ?? 0n;

/** Grows by what left since it was asked first, and never says less: a walk that met the map in motion is not believed. */
class Leaving {
  #base: bigint | undefined;
  count = 0n;

  /** `gone`: of a map, since ever; undefined: there is none. */
  tell(gone: bigint | undefined): void {
    if (gone === undefined) {
      this.#base = undefined;
      return;
    }
    this.#base ??= gone - this.count;
    const now = gone - this.#base;
    if (now > this.count) this.count = now;
  }
}

export class Accounts {
  readonly #platform: Pick<Platform, 'counters' | 'sweep' | 'replaced'>;
  readonly #stateFile: StateFile;
  readonly #pump: EventPump;
  #counters: Counters = { named: {}, eventsLost: 0n, eventsThrottled: 0n };
  #lostBefore = 0n;
  #throttledBefore = 0n;
  #evicted = 0n;
  #evictedBase = 0n;
  #natEvicted = 0n;
  readonly #sockets = new Leaving();
  readonly #clients = new Leaving();
  #swept: SweepResult | undefined;

  private constructor(
    platform: Pick<Platform, 'counters' | 'sweep' | 'replaced'>,
    stateFile: StateFile,
    pump: EventPump,
  ) {
    this.#platform = platform;
    this.#stateFile = stateFile;
    this.#pump = pump;
  }

  static async open(
    platform: Pick<Platform, 'counters' | 'sweep' | 'replaced'>,
    stateFile: StateFile,
    pump: EventPump,
  ): Promise<Accounts> {
    const accounts = new Accounts(platform, stateFile, pump);
    await accounts.read();
    const { reportedLost, reportedThrottled } = stateFile.state;
    const { eventsLost, eventsThrottled } = accounts.#counters;
    accounts.#lostBefore = before(BigInt(reportedLost), eventsLost);
    accounts.#throttledBefore = before(BigInt(reportedThrottled), eventsThrottled);
    await accounts.#beginEvictions();
    return accounts;
  }

  /** Connections of a map that was made anew did not leave it by eviction. */
  async #beginEvictions(): Promise<void> {
    const { named } = this.#counters;
    const gone = counted(named, 'ct_created') - counted(named, 'ct_expired');
    const kept = BigInt(this.#stateFile.state.evictedBase);
    this.#evictedBase = this.#platform.replaced.includes('conntrack') ? gone : before(kept, gone);
    const evictedBase = String(this.#evictedBase);
    if (evictedBase !== this.#stateFile.state.evictedBase) await this.#stateFile.save({ evictedBase });
  }

  get counters(): Counters {
    const { named, ...totals } = this.#counters;
    const evicted = {
      ...{ [EVICTED]: this.#evicted, [NAT_EVICTED]: this.#natEvicted },
      ...{ [SOCKETS_EVICTED]: this.#sockets.count, [CLIENTS_EVICTED]: this.#clients.count },
    };
    return { named: { ...named, ...evicted }, ...totals };
  }

  get swept(): SweepResult | undefined {
    return this.#swept;
  }

  /** Flow events that found no room in the ring buffer, in this boot or between the one before and this. */
  get lostRing(): bigint {
    return this.#counters.eventsLost - this.#lostBefore;
  }

  /** Flow events that rate limits of workloads held back for good, in the same time. */
  get lostThrottle(): bigint {
    return this.#counters.eventsThrottled - this.#throttledBefore;
  }

  /** Flow events that the datapath wanted to write. */
  get produced(): bigint {
    return this.taken + this.lostRing + this.lostThrottle;
  }

  get nextSeq(): bigint {
    return this.#pump.nextSeq;
  }

  get taken(): bigint {
    return this.#pump.nextSeq - FIRST_SEQ;
  }

  async read(): Promise<void> {
    this.#counters = await this.#platform.counters();
  }

  async sweep(): Promise<void> {
    const { named: first } = await this.#platform.counters();
    const created = counted(first, 'ct_created');
    const swept = await this.#platform.sweep();
    this.#swept = swept;
    await this.read();
    // Made before the walk, gone before its end, not seen by it: never too many, and exact once nothing moves.
    const gone = created - counted(this.#counters.named, 'ct_expired') - BigInt(swept.entries - swept.expired);
    if (gone - this.#evictedBase > this.#evicted) this.#evicted = gone - this.#evictedBase;
    this.#sweepServices(first, swept.services);
    if (swept.mappings === undefined) return;
    const expired = counted(this.#counters.named, 'nat_expired');
    const lost = counted(first, 'nat_created') - expired - BigInt(swept.mappings);
    if (lost > this.#natEvicted) this.#natEvicted = lost;
  }

  /** `first`: counted before the walk. */
  #sweepServices(first: Counters['named'], there: SweepResult['services']): void {
    const ended = counted(this.#counters.named, 'service_reverse_ended');
    const asked = counted(first, 'service_reverse_created') - ended;
    this.#sockets.tell(there && asked - BigInt(there.sockets + there.forgotten));
    this.#clients.tell(there && counted(first, 'service_affinity_created') - BigInt(there.clients));
  }

  /** The losses known now have been told to the bus. */
  async told(): Promise<void> {
    const { state } = this.#stateFile;
    const reportedLost = String(this.#counters.eventsLost);
    const reportedThrottled = String(this.#counters.eventsThrottled);
    if (reportedLost !== state.reportedLost || reportedThrottled !== state.reportedThrottled)
      await this.#stateFile.save({ reportedLost, reportedThrottled });
  }
}
