// SPDX-License-Identifier: Apache-2.0
/**
 * Announcement of service addresses on this host: documents say for which services it may answer, leases on the bus which of
 * these it does, and the datapath is told. The datapath goes on without the agent; one that starts changes nothing of
 * what an earlier one left before it has read the lease.
 */
import { type Bus, type ConfigEntry, readLease, subjects, writeLease } from '@weir/bus';
import { counter, observe } from '@weir/telemetry';
import { every, type Loop } from '../loops/every.ts';
import { type Candidacy, Candidates } from './candidates.ts';
import { Claim, type ClaimState, type LeaseStore } from './claim.ts';

/** One address that is to be answered for. */
export interface AnsweredFor {
  readonly address: string;
  /** As in Candidacy. */
  readonly interfaces: readonly string[];
}

/** The datapath's side. */
export interface AnnouncePort {
  /** Where programs are; `kept`: addresses of which nothing is decided, as they are. Returns what was not possible. */
  apply(wanted: {
    readonly interfaces: readonly (readonly string[])[];
    readonly answered: readonly AnsweredFor[];
    readonly kept: ReadonlySet<string>;
  }): Promise<readonly string[]>;
  /** Names of interfaces that the patterns mean, as last seen. */
  interfacesOf(patterns: readonly string[]): readonly string[];
  /** Tells the link, and answers again where it had yielded; says how often it had. */
  confirm(addresses: readonly string[], tell: boolean): Promise<number>;
  close(): void;
}

export interface AnnouncerOptions {
  readonly host: string;
  readonly boot: bigint;
  readonly port: AnnouncePort;
  /** While it is connected. */
  readonly bus: () => Pick<Bus, 'nc' | 'js'> | undefined;
  /** Documents are all that exist. */
  readonly isComplete: () => boolean;
  readonly onChange?: (what: string) => void;
  readonly onTrouble: (what: string, cause: unknown) => void;
}

export interface AnnouncementStatus {
  readonly service: string;
  readonly announcement: string;
  readonly state: ClaimState;
  readonly holder: string;
  /** Unix milliseconds. */
  readonly sinceMs: number | null;
  readonly addresses: readonly string[];
  readonly interfaces: readonly string[];
}

const TICK_MS = 100;
/** How soon an interface that came, or a program that was taken away, is seen. */
const KEEP_MS = 5_000;
/** A neighbour that missed it once hears it with the next renewals. */
const TELLS = 3;
const STATES: readonly ClaimState[] = ['unknown', 'waiting', 'held', 'unconfirmed'];

export class Announcer {
  readonly #options: AnnouncerOptions;
  readonly #candidates: Candidates;
  readonly #claims = new Map<string, Claim>();
  /** Of services just taken over: how often the link is still to be told. */
  readonly #tells = new Map<string, number>();
  readonly #store: LeaseStore;
  #isKnown = false;
  #isStale = false;
  #isChanged = false;
  #appliedMs = 0;
  #failures: readonly string[] = [];
  #isCutOff = false;
  #stopHearing: (() => void) | undefined;
  #loop: Loop | undefined;
  #stopObserving: (() => void) | undefined;

  constructor(options: AnnouncerOptions) {
    this.#options = options;
    this.#candidates = new Candidates(options.host);
    const bus = (): Pick<Bus, 'nc' | 'js'> => {
      const connected = options.bus();
      if (connected) return connected;
      throw new Error('the bus is away');
    };
    this.#store = {
      read: async (service) => readLease(bus(), service),
      write: async (service, lease, over) => writeLease(bus(), service, lease, over),
    };
  }

  reset(entries: readonly ConfigEntry[]): void {
    this.#candidates.reset(entries);
    this.#isKnown = true;
    this.#isStale = true;
  }

  change(entry: ConfigEntry): void {
    if (this.#candidates.change(entry)) this.#isStale = true;
  }

  start(): void {
    this.#stopObserving ??= observe('weir_agent_l2_services', (result) => {
      for (const state of STATES)
        result([...this.#claims.values()].filter((claim) => claim.state === state).length, { state });
    });
    this.#loop ??= every(
      TICK_MS,
      () => this.#tick(),
      (error) => this.#options.onTrouble('addresses of services could not be announced', error),
    );
  }

  get status(): AnnouncementStatus[] {
    return [...this.#claims.values()].map((claim) => ({
      service: claim.candidacy.service,
      announcement: claim.candidacy.announcement,
      state: claim.state,
      holder: claim.holder,
      sinceMs: claim.sinceMs ?? null,
      addresses: claim.candidacy.addresses,
      interfaces: this.#options.port.interfacesOf(claim.candidacy.interfaces),
    }));
  }

  /** What the datapath could not do. */
  get failures(): readonly string[] {
    return this.#failures;
  }

  async #tick(): Promise<void> {
    if (!this.#isKnown || !this.#options.isComplete()) return;
    if (this.#isStale) await this.#follow();
    const nowMs = performance.now();
    const due = [...this.#claims.values()].filter(({ dueMs }) => dueMs <= nowMs);
    await Promise.all(due.map((claim) => this.#step(claim)));
    if (this.#isChanged || nowMs - this.#appliedMs >= KEEP_MS) await this.#apply();
    await this.#confirm(due);
  }

  /** Documents changed. */
  async #follow(): Promise<void> {
    this.#isStale = false;
    const wanted = this.#candidates.list();
    for (const [service, claim] of this.#claims) {
      if (wanted.has(service)) continue;
      this.#claims.delete(service);
      this.#tells.delete(service);
      this.#isChanged = true;
      // Silent first: who takes it over may be faster.
      await this.#apply();
      await claim.release().catch((error) => this.#away(error));
    }
    const { host, boot, port } = this.#options;
    for (const [service, candidacy] of wanted) {
      const claim = this.#claims.get(service);
      if (!claim) {
        const interfaces = (one: Candidacy) => port.interfacesOf(one.interfaces);
        this.#claims.set(service, new Claim(candidacy, { host, boot, store: this.#store, interfaces }));
      } else if (JSON.stringify(claim.candidacy) !== JSON.stringify(candidacy)) {
        claim.candidacy = candidacy;
        claim.dueMs = 0;
        if (claim.isHeld) this.#tells.set(service, TELLS);
      }
      this.#isChanged = true;
    }
    this.#hearLeases();
  }

  async #step(claim: Claim): Promise<void> {
    const { isHeld, isDecided } = claim;
    const { service } = claim.candidacy;
    try {
      await claim.step();
      if (this.#isCutOff) this.#options.onChange?.('leases are reached again');
      this.#isCutOff = false;
    } catch (error) {
      this.#away(error);
    }
    if (claim.isHeld === isHeld && claim.isDecided === isDecided) return;
    this.#isChanged = true;
    if (claim.isHeld === isHeld) return;
    if (claim.isHeld) this.#tells.set(service, TELLS);
    counter('weir_agent_l2_transitions_total').add(1, { to: claim.isHeld ? 'held' : 'lost' });
    const what = claim.isHeld ? `answers for ${claim.candidacy.addresses.join(', ')}` : `left it to ${claim.holder}`;
    this.#options.onChange?.(`service ${service}: this host ${what}`);
  }

  /** Once for each time that leases can't be reached. */
  #away(error: unknown): void {
    if (!this.#isCutOff && this.#options.bus()) this.#options.onTrouble('a lease could not be reached', error);
    this.#isCutOff = true;
  }

  async #apply(): Promise<void> {
    this.#isChanged = false;
    this.#appliedMs = performance.now();
    const claims = [...this.#claims.values()];
    const answered = claims
      .filter(({ isHeld }) => isHeld)
      .flatMap(({ candidacy: { addresses, interfaces } }) => addresses.map((address) => ({ address, interfaces })));
    const kept = claims.filter(({ state }) => state === 'unknown').flatMap(({ candidacy }) => candidacy.addresses);
    const interfaces = claims.map(({ candidacy }) => candidacy.interfaces);
    const failures = await this.#options.port.apply({ interfaces, answered, kept: new Set(kept) });
    for (const failure of failures) if (!this.#failures.includes(failure)) this.#options.onTrouble(failure, undefined);
    this.#failures = failures;
  }

  /** Of what was just renewed: the lease says that it is ours, whatever was heard on the link. */
  async #confirm(due: readonly Claim[]): Promise<void> {
    for (const claim of due) {
      if (claim.state !== 'held') continue;
      const { service, addresses } = claim.candidacy;
      const left = this.#tells.get(service) ?? 0;
      const yielded = await this.#options.port.confirm(addresses, left > 0);
      if (left > 1) this.#tells.set(service, left - 1);
      else this.#tells.delete(service);
      if (yielded === 0) continue;
      counter('weir_agent_l2_conflicts_total').add(yielded);
      const what = `another machine speaks for an address of service ${service}, whose lease this host has`;
      this.#options.onTrouble(what, undefined);
    }
  }

  /** Who renews says so to all: watching costs the bus nothing. */
  #hearLeases(): void {
    const bus = this.#options.bus();
    if (this.#claims.size === 0) {
      this.#stopHearing?.();
      this.#stopHearing = undefined;
    } else if (bus && !this.#stopHearing) {
      const subscription = bus.nc.subscribe(subjects.lease.wildcard, {
        callback: (error, { subject, data }) => {
          const claim = error ? undefined : this.#claims.get(subjects.lease.parse(subject)?.service ?? '');
          if (!claim) return;
          try {
            claim.hear(subjects.lease.decode(data, subject));
          } catch {
            // Not a lease: the stream is asked when it is due.
          }
        },
      });
      this.#stopHearing = () => subscription.unsubscribe();
    }
  }

  /** The bus is there, for the first time or again. */
  connected(): void {
    this.#isStale = true;
    for (const claim of this.#claims.values()) claim.dueMs = 0;
  }

  /** The datapath goes on answering. */
  async stop(): Promise<void> {
    await this.#loop?.stop();
    this.#stopObserving?.();
    this.#stopHearing?.();
    this.#options.port.close();
  }
}
