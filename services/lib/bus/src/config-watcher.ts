// SPDX-License-Identifier: Apache-2.0
/**
 * Follows the configuration: a core subscription first, then a snapshot, then the subscription's messages, so that
 * nothing falls between. Gaps show by revision or by the publisher's heartbeat and are healed by another snapshot;
 * so is every reconnect, and on a timer everything. Handlers run one after the other and are awaited.
 */
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { MsgHdrs } from '@nats-io/nats-core';
import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import { counter, nowUs } from '@weir/telemetry';
import { type Arrival, type ConfigEntry, ConfigState, configEntry, type Position } from './config-state.ts';
import { type Verify, verifySigned } from './signing.ts';
import { readSnapshot } from './snapshot.ts';
import { CFG_ALL, CFG_HEARTBEAT_ALL, subjects } from './subjects.ts';
import { receivedTrace } from './trace.ts';

export interface ConfigWatcherOptions {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly trustedKeys: readonly string[];
  /** As given to connectBus. */
  readonly inboxPrefix: string;
  /** hostSnapshotConsumer(host) or serviceSnapshotConsumer(name). */
  readonly consumer: string;
  /** Everything that exists, after each snapshot: what is held and not in it is gone. */
  readonly onReset: (entries: readonly ConfigEntry[]) => void | Promise<void>;
  readonly onChange: (entry: ConfigEntry) => void | Promise<void>;
  /** Refused documents, failed snapshots and handlers: to be logged and counted. */
  readonly onError?: (error: unknown, subject?: string) => void;
  /** Envelopes kept on disk; verified again, refused ones are left out. */
  readonly preload?: readonly { readonly subject: string; readonly signed: Uint8Array }[];
  readonly resyncIntervalMs?: number;
  /** Spreads the snapshots of a fleet that must all read at once. */
  readonly jitterMs?: number;
  /** Instead of verifySigned: for many readers in one process, who need not each do what one has done. */
  readonly verify?: Verify;
}

export interface ConfigWatcherStats {
  readonly snapshots: number;
  readonly gaps: number;
  /** Not newer than what was held: duplicates, reordering, replay. */
  readonly older: number;
  readonly refused: number;
}

export interface ConfigWatcher {
  /** The first snapshot was read and handled. Never rejects while the watcher runs. */
  readonly ready: Promise<void>;
  /** Per publisher, the revision up to which nothing is missing. */
  positions(): Record<string, Position>;
  entries(): readonly ConfigEntry[];
  get(subject: string): ConfigEntry | undefined;
  stats(): ConfigWatcherStats;
  /** Unix milliseconds of the last heartbeat that fitted; undefined before the first. */
  lastHeartbeatMs(publisher: string): number | undefined;
  /** Reads a snapshot now; resolves when it is handled. */
  resync(): Promise<void>;
  stop(): Promise<void>;
}

const RESYNC_INTERVAL_MS = 600_000;
const JITTER_MS = 1_000;
/** A message on its way may still close a gap that a heartbeat shows. */
const GAP_GRACE_MS = 200;
const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 10_000;
/** Between snapshots asked for by heartbeats that never fit. */
const HEAL_MIN_MS = 4_000;
const HEAL_MAX_MS = 300_000;

const VERIFY_CHUNK = 64;

const CLOSED = Symbol('closed');
type Task = () => void | Promise<void>;

export const configWatcher = (options: ConfigWatcherOptions): ConfigWatcher => {
  const { nc, trustedKeys, onReset, onChange } = options;
  const onError = options.onError ?? (() => {});
  const jitterMs = options.jitterMs ?? JITTER_MS;
  const verify = options.verify ?? verifySigned;
  const state = new ConfigState();
  const stats = { snapshots: 0, gaps: 0, older: 0, refused: 0 };
  const heartbeats = new Map<string, number>();
  const stopping = new AbortController();
  const { signal } = stopping;
  let resyncAt: NodeJS.Timeout | undefined;
  let healWaitMs = HEAL_MIN_MS;
  let healNotBefore = 0;
  let syncing: Promise<void> | undefined;

  // One queue for all that changes the state: messages wait while a snapshot is read.
  let tail: Promise<void> = Promise.resolve();
  const inOrder = (task: Task): Promise<void> => {
    const run = tail.then(() => (signal.aborted ? undefined : task()));
    tail = run.catch(() => {});
    return run;
  };

  const open = (subject: string, bytes: Uint8Array): ReturnType<Verify> | undefined => {
    try {
      return verify(bytes, trustedKeys, subject);
    } catch (error) {
      stats.refused += 1;
      counter('weir_bus_rejected_total').add(1, { reason: 'refused' });
      onError(error, subject);
      return undefined;
    }
  };
  const openEntry = (subject: string, bytes: Uint8Array, arrival?: Arrival): ConfigEntry | undefined => {
    const document = open(subject, bytes);
    return document === undefined ? undefined : configEntry(document, bytes, arrival);
  };
  const handle = async (task: Task, subject?: string): Promise<void> => {
    try {
      await task();
    } catch (error) {
      onError(error, subject);
    }
  };

  const takeSnapshot = async (): Promise<void> => {
    const messages = await readSnapshot({ ...options, signal });
    const receivedUs = nowUs();
    stats.snapshots += 1;
    const entries: ConfigEntry[] = [];
    for (const [index, { subject, data, headers }] of messages.entries()) {
      // Thousands of signatures take seconds: others get their turn in between.
      if (index % VERIFY_CHUNK === VERIFY_CHUNK - 1) await setImmediate();
      const held = state.held(subject);
      const same = held !== undefined && Buffer.compare(held.signed, data) === 0;
      const entry = same ? held : openEntry(subject, data, { receivedUs, trace: receivedTrace(headers) });
      if (entry !== undefined) entries.push(entry);
    }
    state.snapshot(entries);
    await handle(() => onReset(state.entries()));
  };

  const retrying = async (): Promise<void> => {
    for (let waitMs = RETRY_MIN_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)) {
      try {
        await inOrder(takeSnapshot);
        return;
      } catch (error) {
        if (signal.aborted) return;
        onError(error);
        await sleep(waitMs * (0.5 + Math.random()), undefined, { signal }).catch(() => {});
      }
    }
  };

  /** One snapshot at a time; asking again meanwhile waits for the one under way. */
  const resync = (reason: string): Promise<void> => {
    clearTimeout(resyncAt);
    resyncAt = undefined;
    if (syncing === undefined) counter('weir_config_resyncs_total').add(1, { reason });
    syncing ??= retrying().finally(() => {
      syncing = undefined;
    });
    return syncing;
  };
  const resyncSoon = (reason: string, delayMs: number): void => {
    resyncAt ??= setTimeout(() => void resync(reason), delayMs);
  };

  /** Another snapshot because a heartbeat did not fit; less and less often while that does not help. */
  const heal = (): void => {
    if (Date.now() < healNotBefore) return;
    healNotBefore = Date.now() + healWaitMs;
    healWaitMs = Math.min(healWaitMs * 2, HEAL_MAX_MS);
    resyncSoon('heartbeat', GAP_GRACE_MS + Math.random() * jitterMs);
  };

  const onDocument = async (subject: string, data: Uint8Array, arrival: Arrival): Promise<void> => {
    const entry = openEntry(subject, data, arrival);
    if (entry === undefined) return;
    const applied = state.live(entry);
    if (applied === 'older') {
      stats.older += 1;
      counter('weir_bus_rejected_total').add(1, { reason: 'older' });
      return;
    }
    if (applied === 'gap') {
      stats.gaps += 1;
      resyncSoon('gap', GAP_GRACE_MS);
    }
    await handle(() => onChange(entry), subject);
  };

  const onHeartbeat = async (subject: string, data: Uint8Array): Promise<void> => {
    const document = open(subject, data);
    if (document?.body.case !== 'heartbeat') return;
    const { publisher, body } = document;
    const { verdict, gone } = state.heartbeat(publisher, body.value);
    if (verdict === 'older') {
      stats.older += 1;
      counter('weir_bus_rejected_total').add(1, { reason: 'older' });
      return;
    }
    heartbeats.set(publisher, Date.now());
    if (verdict === 'current') healWaitMs = HEAL_MIN_MS;
    else heal();
    for (const entry of gone) await handle(() => onChange(entry), entry.subject);
  };

  const arrivalOf = (headers: MsgHdrs | undefined): Arrival => ({ receivedUs: nowUs(), trace: receivedTrace(headers) });

  type Handler = (subject: string, data: Uint8Array, arrival: Arrival) => Promise<void>;
  const follow = (subject: string, handler: Handler): Subscription =>
    nc.subscribe(subject, {
      callback: (error, msg) => {
        if (error) return onError(error, subject);
        // Taken here: a message may wait while a snapshot is read.
        const arrival = arrivalOf(msg.headers);
        void inOrder(() => handler(msg.subject, msg.data, arrival)).catch((failure) => onError(failure, msg.subject));
      },
    });

  const followConnection = async (): Promise<void> => {
    for await (const status of nc.status()) {
      if (signal.aborted) return;
      if (status.type === 'reconnect') resyncSoon('reconnect', Math.random() * jitterMs);
    }
  };

  for (const { subject, signed } of options.preload ?? []) {
    const entry = openEntry(subject, signed);
    if (entry !== undefined) state.preload(entry);
  }
  const subscriptions = [follow(CFG_ALL, onDocument), follow(CFG_HEARTBEAT_ALL, onHeartbeat)];
  void followConnection();
  const timer = setInterval(() => void resync('timer'), options.resyncIntervalMs ?? RESYNC_INTERVAL_MS);
  timer.unref();
  // The broker must have seen the subscriptions before the snapshot is asked for: same connection, so in order.
  const ready = resync('start');

  return {
    ready,
    positions: () => state.positions(),
    entries: () => state.entries(),
    get: (subject) => state.get(subject),
    stats: () => ({ ...stats }),
    lastHeartbeatMs: (publisher) => heartbeats.get(publisher),
    resync: () => resync('asked'),
    stop: async () => {
      stopping.abort(CLOSED);
      clearInterval(timer);
      clearTimeout(resyncAt);
      for (const subscription of subscriptions) subscription.unsubscribe();
      await syncing?.catch(() => {});
      await tail;
    },
  };
};

/** For subscribers that want one publisher's heartbeats only. */
export const heartbeatSubject = (publisher: string): string => subjects.cfgHeartbeat.build({ publisher });
