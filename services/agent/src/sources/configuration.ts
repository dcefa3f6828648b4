// SPDX-License-Identifier: Apache-2.0
/**
 * Where the agent's configuration comes from: the signed log on disk at once, then the bus for as long as it runs.
 * Whoever listens is told of documents in order, synchronously, so that `positions()` never names a revision that the
 * listener has not been given.
 */
import {
  agentInbox,
  type Bus,
  type ConfigEntry,
  type ConfigWatcher,
  configEntry,
  configWatcher,
  hostSnapshotConsumer,
  type Position,
  type Verify,
  verifySigned,
} from '@weir/bus';
import type { ConfigLog, LoadedConfig } from './config-log.ts';

export interface ConfigurationListener {
  /** Everything that exists; `news`: what of it had not been handed over before, unless nothing had. */
  onReset(entries: readonly ConfigEntry[], news: ReadonlySet<ConfigEntry>): void;
  /** One document, or, when `removed`, its end. */
  onChange(entry: ConfigEntry): void;
  onError(error: unknown, subject?: string): void;
}

export interface ConfigurationOptions {
  readonly host: string;
  readonly trustedKeys: readonly string[];
  readonly log: ConfigLog;
  readonly loaded: LoadedConfig;
  readonly listener: ConfigurationListener;
  readonly resyncIntervalMs?: number;
  readonly jitterMs?: number;
  /** Instead of verifySigned. */
  readonly verify?: Verify | undefined;
}

export class Configuration {
  readonly #options: ConfigurationOptions;
  readonly #stored: ConfigEntry[] = [];
  /** Documents that exist and are in the log. */
  #known = new Set<string>();
  #watcher: ConfigWatcher | undefined;
  #complete: boolean;
  #refusedStored = 0;
  #restored = 0;

  constructor(options: ConfigurationOptions) {
    this.#options = options;
    this.#complete = options.loaded.complete;
  }

  /** Verifies what the disk holds and hands it over. */
  restore(): void {
    const { loaded, trustedKeys, listener, verify = verifySigned } = this.#options;
    for (const { subject, signed } of loaded.envelopes) {
      try {
        const entry = configEntry(verify(signed, trustedKeys, subject), signed);
        if (entry) this.#stored.push(entry);
      } catch (error) {
        // One that was trusted when it was stored: a signer was withdrawn, or somebody wrote to the disk.
        this.#refusedStored++;
        listener.onError(error, subject);
      }
    }
    if (this.#refusedStored > 0) this.#complete = false;
    const live = this.#stored.filter(({ removed }) => !removed);
    this.#known = new Set(live.map(({ subject }) => subject));
    this.#restored = live.length;
    listener.onReset(live, new Set());
  }

  /** A first whole view of the configuration was there, now or before this start. */
  get complete(): boolean {
    return this.#complete;
  }

  connect(bus: Bus): ConfigWatcher {
    const { host, trustedKeys, log, loaded, listener } = this.#options;
    const watcher = configWatcher({
      nc: bus.nc,
      jsm: bus.jsm,
      trustedKeys,
      inboxPrefix: agentInbox(host),
      consumer: hostSnapshotConsumer(host),
      preload: loaded.envelopes,
      onReset: (entries) => {
        const subjects = new Set<string>();
        const news = new Set<ConfigEntry>();
        for (const entry of entries) {
          const { subject, signed } = entry;
          subjects.add(subject);
          if (log.has(subject, signed)) continue;
          log.put(subject, signed);
          // A first whole view delivers what there was, not changes.
          if (this.#complete) news.add(entry);
        }
        for (const subject of this.#known) if (!subjects.has(subject)) log.forget(subject);
        this.#known = subjects;
        this.#complete = true;
        log.markComplete();
        listener.onReset(entries, news);
      },
      onChange: (entry) => {
        // An end without its own envelope carries that of the document; kept, it would bring the document back.
        if (entry.removed && log.has(entry.subject, entry.signed)) log.forget(entry.subject);
        else log.put(entry.subject, entry.signed);
        if (entry.removed) this.#known.delete(entry.subject);
        else this.#known.add(entry.subject);
        listener.onChange(entry);
      },
      onError: (error, subject) => listener.onError(error, subject),
      ...(this.#options.resyncIntervalMs === undefined ? {} : { resyncIntervalMs: this.#options.resyncIntervalMs }),
      ...(this.#options.jitterMs === undefined ? {} : { jitterMs: this.#options.jitterMs }),
      ...(this.#options.verify === undefined ? {} : { verify: this.#options.verify }),
    });
    this.#watcher = watcher;
    return watcher;
  }

  /** Per publisher, the revision up to which everything was handed over. */
  positions(): Readonly<Record<string, Position>> {
    return this.#watcher?.positions() ?? {};
  }

  lastHeartbeatMs(publisher: string): number | undefined {
    return this.#watcher?.lastHeartbeatMs(publisher);
  }

  stats(): Record<string, number> {
    return { restored: this.#restored, refused_stored: this.#refusedStored, ...this.#watcher?.stats() };
  }

  async stop(): Promise<void> {
    await this.#watcher?.stop();
  }
}
