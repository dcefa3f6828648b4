// SPDX-License-Identifier: Apache-2.0
/**
 * The health mesh as one host sees it: it follows the documents of hosts and of the network, answers the probes of
 * others, probes them in rounds, and tells what came of it after each. The interval grows with the logarithm of the
 * fleet, as the field does it: base x ln(1 + hosts).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConfigEntry } from '@weir/bus';
import { isIp } from '@weir/net';
import type { HealthMesh as Settings } from '@weir/proto/weir/bus/v1/config_pb.js';
import { PathBook, type Summary } from './book.ts';
import { Responder } from './responder.ts';
import { type Measured, type Ping, probeRound, type RoundOptions, type Target } from './round.ts';
import { Watch } from './watch.ts';

const BASE_INTERVAL_S = 60;
const PORT = 4_240;
const TIMEOUT_MS = 2_000;
const WATCH_TIMEOUT_MS = 500;
/** The first round is not that of all others: they may have started together. */
const FIRST_ROUND_MAX_MS = 5_000;

export interface HealthMeshOptions {
  readonly host: string;
  readonly ping: Ping;
  readonly onRound: (summary: Summary, intervalS: number, measured: readonly Measured[]) => void;
  readonly onWatched?: () => void;
  readonly onTrouble: (what: string, cause: unknown) => void;
}

export class HealthMesh {
  readonly #options: HealthMeshOptions;
  readonly #addresses = new Map<string, readonly string[]>();
  readonly #book = new PathBook();
  readonly #responder = new Responder();
  readonly #stopping = new AbortController();
  #settings: Settings | undefined;
  #running: Promise<void> | undefined;
  /** Ends the wait for the next round when the settings change. */
  #wake = new AbortController();
  #silent = '';
  readonly #watch: Watch;

  constructor(options: HealthMeshOptions) {
    this.#options = options;
    this.#watch = new Watch({
      probe: (hosts) => probeRound(this.#targets(hosts), { ...this.#probing, timeoutMs: WATCH_TIMEOUT_MS }),
      onChange: () => options.onWatched?.(),
      onTrouble: options.onTrouble,
    });
  }

  reset(entries: readonly ConfigEntry[]): void {
    this.#addresses.clear();
    this.#settings = undefined;
    for (const entry of entries) this.#take(entry);
    this.#wake.abort();
  }

  change(entry: ConfigEntry): void {
    this.#take(entry);
    if (entry.kind === 'network') this.#wake.abort();
  }

  #take({ kind, key, removed, document }: ConfigEntry): void {
    const { body } = document;
    if (kind === 'network') {
      this.#settings = !removed && body.case === 'network' ? body.value.health : undefined;
    } else if (kind === 'host') {
      if (removed || body.case !== 'host') this.#addresses.delete(key);
      else this.#addresses.set(key, [body.value.underlayIp4, body.value.underlayIp6].filter(isIp));
    }
  }

  get #enabled(): boolean {
    return this.#settings?.enabled ?? true;
  }

  get #port(): number {
    return this.#settings?.port || PORT;
  }

  get intervalMs(): number {
    const base = this.#settings?.baseIntervalS || BASE_INTERVAL_S;
    return base * 1_000 * Math.log(1 + Math.max(1, this.#addresses.size));
  }

  get summary(): Summary {
    return this.#book.summary();
  }

  get book(): PathBook {
    return this.#book;
  }

  start(): void {
    this.#running ??= this.#run();
    this.#watch.start();
  }

  /** Hosts that are asked every second, also when the mesh is off: others depend on them. */
  watch(hosts: ReadonlySet<string>): void {
    this.#watch.follow(hosts);
  }

  /** Of the hosts that are watched. */
  get unreachable(): ReadonlySet<string> {
    return this.#watch.unreachable;
  }

  async #run(): Promise<void> {
    await this.#wait(Math.random() * Math.min(FIRST_ROUND_MAX_MS, this.intervalMs));
    while (!this.#stopping.signal.aborted) {
      const startMs = Date.now();
      try {
        await this.#answer();
        if (this.#enabled) await this.#round();
      } catch (error) {
        this.#options.onTrouble('a round of health probes failed', error);
      }
      const spentMs = Date.now() - startMs;
      // A tenth more or less, so that rounds of hosts do not fall together for good.
      await this.#wait(Math.max(0, this.intervalMs * (0.9 + Math.random() * 0.2) - spentMs));
    }
  }

  async #wait(ms: number): Promise<void> {
    if (this.#wake.signal.aborted) this.#wake = new AbortController();
    const signal = AbortSignal.any([this.#wake.signal, this.#stopping.signal]);
    await sleep(ms, undefined, { signal, ref: false }).catch(() => {});
  }

  /** Listens where the host's document says; an address that it does not have yet is told once. */
  async #answer(): Promise<void> {
    const own = this.#enabled ? (this.#addresses.get(this.#options.host) ?? []) : [];
    try {
      await this.#responder.follow(own, this.#port);
      this.#silent = '';
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#silent) this.#options.onTrouble('probes of other hosts are not answered', error);
      this.#silent = message;
    }
  }

  get #probing(): Pick<RoundOptions, 'ping' | 'port' | 'signal'> {
    return { ping: this.#options.ping, port: this.#port, signal: this.#stopping.signal };
  }

  #targets(hosts: Iterable<string>): Target[] {
    return [...hosts].flatMap((host) => (this.#addresses.get(host) ?? []).map((address) => ({ host, address })));
  }

  async #round(): Promise<void> {
    const others = [...this.#addresses.keys()].filter((host) => host !== this.#options.host);
    const timeoutMs = Math.floor(Math.min(TIMEOUT_MS, this.intervalMs));
    const measured = await probeRound(this.#targets(others), { ...this.#probing, timeoutMs });
    if (this.#stopping.signal.aborted) return;
    this.#book.record(measured);
    this.#options.onRound(this.#book.summary(), Math.max(1, Math.round(this.intervalMs / 1_000)), measured);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#watch.stop();
    await this.#responder.stop();
  }
}
