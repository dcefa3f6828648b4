// SPDX-License-Identifier: Apache-2.0
/**
 * BGP of this host: documents become the configuration of the daemon beside the agent, its sessions are read every few seconds. It
 * speaks on while the agent, the bus or the control plane is away; an agent that starts goes on with the one that runs.
 */
import { readFileSync } from 'node:fs';
import type { ConfigEntry } from '@weir/bus';
import { counter, observe } from '@weir/telemetry';
import { every, type Loop } from '../loops/every.ts';
import { configText, peerName } from './config-text.ts';
import { BgpDaemon, type DaemonOptions } from './daemon.ts';
import { addressesOf } from './interfaces.ts';
import { type BgpPlan, BgpPlanner, type PlannedInstance, type PlannedPeer } from './plan.ts';
import { readPrefixes, readSessions, type Session } from './sessions.ts';

export interface SpeakerOptions extends DaemonOptions {
  readonly host: string;
  /** Documents are all that exist. */
  readonly isComplete: () => boolean;
  readonly onChange?: (what: string) => void;
  readonly onTrouble: (what: string, cause: unknown) => void;
  /** Path of the network namespace whose interfaces are told of; the process's own unless told. */
  readonly hostNetns?: string;
}

export interface PeerFamily {
  readonly family: 'ipv4' | 'ipv6';
  readonly received: number;
  readonly advertised: number;
  readonly prefixes: readonly string[];
}

export interface PeerState {
  readonly instance: string;
  readonly peer: string;
  readonly address: string;
  readonly asn: number;
  readonly localAsn: number;
  readonly state: string;
  readonly sinceMs: number;
  readonly error: string;
  readonly families: readonly PeerFamily[];
}

const TICK_MS = 200;
/** A daemon that died, and a session that came or went, are seen so soon. */
const LOOK_MS = 2_000;
/** The daemon makes a time of day of a duration each time it is asked: the same moment is a little different then. */
const SAME_MS = 10;
const PREFIXES_MAX = 1_000;

const passwordOf = (file: string): string => {
  const text = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  if (text !== '' && !/["\n\r]/.test(text)) return text;
  throw new Error(`${file} holds no password of one line without quotation marks`);
};

export class BgpSpeaker {
  readonly #options: SpeakerOptions;
  readonly #planner: BgpPlanner;
  readonly #daemon: BgpDaemon;
  #plan: BgpPlan | undefined;
  #isKnown = false;
  #isStale = false;
  /** Of interfaces, as they were when the plan was made. */
  #addresses = '[]';
  #lookedMs = Number.NEGATIVE_INFINITY;
  #peers: readonly PeerState[] = [];
  #failure = '';
  #loop: Loop | undefined;
  #stops: readonly (() => void)[] = [];

  constructor(options: SpeakerOptions) {
    this.#options = options;
    this.#planner = new BgpPlanner(options.host);
    this.#daemon = new BgpDaemon(options);
  }

  reset(entries: readonly ConfigEntry[]): void {
    this.#planner.reset(entries);
    this.#isKnown = true;
    this.#isStale = true;
  }

  change(entry: ConfigEntry): void {
    if (this.#planner.change(entry)) this.#isStale = true;
  }

  /** Of every peer that is configured for this host. */
  get peers(): readonly PeerState[] {
    return this.#peers;
  }

  /** Why the daemon is not as it should be; empty: it is. */
  get failure(): string {
    return this.#failure;
  }

  start(): void {
    this.#loop ??= every(
      TICK_MS,
      () => this.#tick(),
      (error) => this.#fail(error),
    );
    this.#stops = [
      observe('weir_agent_bgp_sessions', (result) => {
        for (const { peer, instance, state } of this.#peers)
          result(state === 'established' ? 1 : 0, { instance, peer });
      }),
      observe('weir_agent_bgp_routes', (result) => {
        for (const { peer, instance, families } of this.#peers) {
          for (const { family, received, advertised } of families) {
            result(received, { instance, peer, family, direction: 'received' });
            result(advertised, { instance, peer, family, direction: 'advertised' });
          }
        }
      }),
    ];
  }

  /** Once, though it is tried again and again. */
  #fail(error: unknown): void {
    const { message } = error as Error;
    if (message !== this.#failure) this.#options.onTrouble('BGP is not as it should be', error);
    this.#failure = message;
  }

  async #tick(): Promise<void> {
    if (!this.#isKnown || !this.#options.isComplete()) return;
    const isDue = performance.now() - this.#lookedMs >= LOOK_MS;
    if (!this.#isStale && !isDue) return;
    const addresses = await addressesOf(this.#planner.interfaces, this.#options.hostNetns);
    const text = JSON.stringify([...addresses]);
    if (this.#isStale || text !== this.#addresses) {
      this.#isStale = false;
      this.#addresses = text;
      this.#plan = this.#planner.plan(addresses);
    }
    this.#lookedMs = performance.now();
    if (!this.#plan) {
      this.#peers = [];
      if (this.#daemon.mayRun) await this.#daemon.end();
      this.#failure = '';
      return;
    }
    const failures = [await this.#apply(this.#plan), await this.#look()].filter((one) => one !== undefined);
    if (failures.length > 0) this.#fail(failures[0]);
    else this.#failure = '';
  }

  /** Returns what went wrong; what was before goes on. */
  async #apply(plan: BgpPlan): Promise<unknown> {
    try {
      const done = await this.#daemon.apply(configText(plan, this.#daemon.logPath, passwordOf));
      if (done === 'unchanged') return undefined;
      counter('weir_agent_bgp_reloads_total').add(1, { what: done });
      this.#options.onChange?.(`the BGP daemon was ${done}`);
      return undefined;
    } catch (error) {
      return error;
    }
  }

  async #look(): Promise<unknown> {
    const before = new Map(this.#peers.map((one) => [`${one.instance} ${one.peer}`, one]));
    try {
      const sessions = readSessions(await this.#daemon.lines('show protocols all'));
      const prefixes = new Map<string, string[]>();
      for (const { name, state } of sessions.values()) {
        if (state !== 'established') continue;
        prefixes.set(name, readPrefixes(await this.#daemon.lines(`show route table all export ${name}`)));
      }
      this.#peers = this.#describe((name, key) => {
        const session = sessions.get(name);
        const known = before.get(key);
        const isSame =
          session?.state === known?.state && Math.abs((session?.sinceMs ?? 0) - (known?.sinceMs ?? 0)) <= SAME_MS;
        return session && known && isSame ? { ...session, sinceMs: known.sinceMs } : session;
      }, prefixes);
      return undefined;
    } catch (error) {
      this.#peers = this.#describe((name, key) => {
        const known = before.get(key);
        const sinceMs = known?.state === 'down' ? known.sinceMs : Date.now();
        return { name, state: 'down', sinceMs, error: (error as Error).message, families: [] };
      });
      return error;
    }
  }

  #describe(
    sessionOf: (name: string, key: string) => Session | undefined,
    prefixes: ReadonlyMap<string, readonly string[]> = new Map(),
  ): PeerState[] {
    const describe = ({ name: instance, localAsn }: PlannedInstance, peer: PlannedPeer): PeerState => {
      const name = peerName(instance, peer.name);
      const session = sessionOf(name, `${instance} ${peer.name}`);
      const told = prefixes.get(name) ?? [];
      return {
        ...{ instance, peer: peer.name, address: peer.address, asn: peer.asn, localAsn },
        ...{ state: session?.state ?? 'down', sinceMs: session?.sinceMs ?? Date.now(), error: session?.error ?? '' },
        families: (session?.families ?? []).map(({ family, received, advertised }) => ({
          ...{ family: `ipv${family}` as const, received, advertised },
          prefixes: told.filter((prefix) => prefix.includes(':') === (family === 6)).slice(0, PREFIXES_MAX),
        })),
      };
    };
    return (this.#plan?.instances ?? []).flatMap((instance) => instance.peers.map((peer) => describe(instance, peer)));
  }

  /** The daemon goes on. */
  async stop(): Promise<void> {
    await this.#loop?.stop();
    for (const stop of this.#stops) stop();
  }
}
