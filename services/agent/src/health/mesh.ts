// SPDX-License-Identifier: Apache-2.0
/**
 * The health mesh as one host sees it: it follows the documents of hosts and of the network, answers the probes of
 * others, probes them and their health endpoints in rounds, and tells what came of it after each. The interval grows with the
 * logarithm of the fleet, as the field does it: base x ln(1 + hosts).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConfigEntry } from '@weir/bus';
import { isIp } from '@weir/net';
import type { Host, Network } from '@weir/proto/weir/bus/v1/config_pb.js';
import { every, type Loop } from '../loops/every.ts';
import { endpointOf } from '../plan/health-endpoint.ts';
import { PathBook, type Summary } from './book.ts';
import { type EndpointPlace, HealthEndpoint } from './endpoint.ts';
import { Responder } from './responder.ts';
import { type Measured, type Ping, probeRound, type RoundOptions, type Target, type TargetKind } from './round.ts';
import { Watch } from './watch.ts';

const BASE_INTERVAL_S = 60;
const PORT = 4_240;
const TIMEOUT_MS = 2_000;
const WATCH_TIMEOUT_MS = 500;
/** How soon an address that came, or a namespace that went, is seen. */
const KEEP_MS = 5_000;
/** The first round is not that of all others: they may have started together. */
const FIRST_ROUND_MAX_MS = 5_000;

export interface HealthMeshOptions {
  readonly host: string;
  readonly ping: Ping;
  /** Where its own health endpoint is; absent: it has none. */
  readonly endpoint?: EndpointPlace | undefined;
  readonly onRound: (summary: Summary, intervalS: number, measured: readonly Measured[]) => void;
  readonly onWatched?: () => void;
  readonly onTrouble: (what: string, cause: unknown) => void;
}

const targetsOf = (host: string, target: TargetKind, addresses: readonly string[]): Target[] =>
  addresses.filter(isIp).map((address) => ({ host, target, address }));
const hostTargets = ({ id, underlayIp4, underlayIp6 }: Host): Target[] =>
  targetsOf(id, 'host', [underlayIp4, underlayIp6]);
const endpointTargets = (host: Host, network: Network | undefined): Target[] => {
  const endpoint = endpointOf(host, network);
  return endpoint ? targetsOf(host.id, 'endpoint', [endpoint.ip4, endpoint.ip6]) : [];
};

export class HealthMesh {
  readonly #options: HealthMeshOptions;
  readonly #hosts = new Map<string, Host>();
  readonly #book = new PathBook();
  readonly #responder = new Responder();
  readonly #endpoint: HealthEndpoint | undefined;
  readonly #stopping = new AbortController();
  readonly #keeper: Loop;
  #keeping: Promise<void> = Promise.resolve();
  #network: Network | undefined;
  #running: Promise<void> | undefined;
  /** Ends the wait for the next round when the settings change. */
  #wake = new AbortController();
  #silent = '';
  readonly #watch: Watch;

  constructor(options: HealthMeshOptions) {
    this.#options = options;
    this.#endpoint = options.endpoint && new HealthEndpoint(options.endpoint);
    this.#keeper = every(
      KEEP_MS,
      () => this.#keep(),
      () => {},
    );
    this.#watch = new Watch({
      probe: (hosts) =>
        probeRound(this.#targets(hosts, hostTargets), { ...this.#probing, timeoutMs: WATCH_TIMEOUT_MS }),
      onChange: () => options.onWatched?.(),
      onTrouble: options.onTrouble,
    });
  }

  reset(entries: readonly ConfigEntry[]): void {
    this.#hosts.clear();
    this.#network = undefined;
    for (const entry of entries) this.#take(entry);
    this.#wake.abort();
    void this.#keep();
  }

  change(entry: ConfigEntry): void {
    this.#take(entry);
    if (entry.kind === 'network') this.#wake.abort();
    if (entry.kind === 'network' || (entry.kind === 'host' && entry.key === this.#options.host)) void this.#keep();
  }

  #take({ kind, key, removed, document }: ConfigEntry): void {
    const { body } = document;
    if (kind === 'network') {
      this.#network = !removed && body.case === 'network' ? body.value : undefined;
    } else if (kind === 'host') {
      if (removed || body.case !== 'host') this.#hosts.delete(key);
      else this.#hosts.set(key, body.value);
    }
  }

  get #enabled(): boolean {
    return this.#network?.health?.enabled ?? true;
  }

  get #port(): number {
    return this.#network?.health?.port || PORT;
  }

  get intervalMs(): number {
    const base = this.#network?.health?.baseIntervalS || BASE_INTERVAL_S;
    return base * 1_000 * Math.log(1 + Math.max(1, this.#hosts.size));
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

  /** One after the other: each sees what the one before it made. */
  #keep(): Promise<void> {
    this.#keeping = this.#keeping.then(() => (this.#stopping.signal.aborted ? undefined : this.#answer()));
    return this.#keeping;
  }

  /** Answers where the host's document says; an address that it does not have yet is told once. */
  async #answer(): Promise<void> {
    const own = this.#hosts.get(this.#options.host);
    const wanted = own && endpointOf(own, this.#network) !== undefined;
    const addresses = this.#enabled && own ? hostTargets(own).map(({ address }) => address) : [];
    const outcomes = await Promise.allSettled([
      this.#responder.follow(addresses, this.#port),
      this.#endpoint?.follow(wanted, this.#port),
    ]);
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    const message = failed ? String((failed.reason as Error).message) : '';
    if (failed && message !== this.#silent) {
      this.#options.onTrouble('probes of other hosts are not answered', failed.reason);
    }
    this.#silent = message;
  }

  get #probing(): Pick<RoundOptions, 'ping' | 'port' | 'signal'> {
    return { ping: this.#options.ping, port: this.#port, signal: this.#stopping.signal };
  }

  #targets(hosts: Iterable<string>, of: (host: Host) => Target[]): Target[] {
    return [...hosts].flatMap((id) => {
      const host = this.#hosts.get(id);
      return host ? of(host) : [];
    });
  }

  async #round(): Promise<void> {
    const others = [...this.#hosts.keys()].filter((host) => host !== this.#options.host);
    const timeoutMs = Math.floor(Math.min(TIMEOUT_MS, this.intervalMs));
    const targets = this.#targets(others, (host) => [...hostTargets(host), ...endpointTargets(host, this.#network)]);
    const measured = await probeRound(targets, { ...this.#probing, timeoutMs });
    if (this.#stopping.signal.aborted) return;
    this.#book.record(measured);
    this.#options.onRound(this.#book.summary(), Math.max(1, Math.round(this.intervalMs / 1_000)), measured);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#keeper.stop();
    await this.#keeping;
    await this.#running;
    await this.#watch.stop();
    await this.#responder.stop();
    await this.#endpoint?.stop();
  }
}
