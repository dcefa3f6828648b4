// SPDX-License-Identifier: Apache-2.0
/**
 * Keeps a nats-server running. Alive is one that acknowledges a message it had to write: with a full disk 2.9 still
 * accepts connections and answers its monitoring, stops acknowledging whatever no longer fits and ignores SIGTERM.
 * A server that fails the probe is killed and started again, after a full disk as soon as there is room; what it had
 * acknowledged is still there.
 */
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StorageType } from '@nats-io/jetstream';
import { TimeoutError } from '@nats-io/nats-core';
import { type Bus, connectBus } from './connect.ts';
import { PROBE } from './permissions.ts';
import { type NatsProcess, type NatsProcessOptions, startNats } from './server-process.ts';

export type NatsEvent =
  | { readonly type: 'started'; readonly pid: number }
  | { readonly type: 'probe-failed'; readonly misses: number; readonly error: unknown }
  | { readonly type: 'disk-full'; readonly freeBytes: number }
  | { readonly type: 'killed'; readonly pid: number }
  | { readonly type: 'exited'; readonly pid: number }
  | { readonly type: 'start-failed'; readonly error: unknown };

export interface SuperviseOptions extends NatsProcessOptions {
  /** Seed of a user with probePermissions(); none when the server has no users. */
  readonly probeSeed?: string;
  readonly probeIntervalMs?: number;
  readonly probeTimeoutMs?: number;
  /** Probes missed in a row before it is killed. */
  readonly misses?: number;
  readonly onEvent?: (event: NatsEvent) => void;
}

export interface SupervisedNats {
  readonly url: string;
  readonly process: NatsProcess;
  /** Whether the last probe was acknowledged. */
  healthy(): boolean;
  stop(): Promise<void>;
}

/** Together below 30 s. */
const PROBE_INTERVAL_MS = 5_000;
const PROBE_TIMEOUT_MS = 3_000;
const MISSES = 3;
const RESTART_MS = 1_000;
const EXIT_GRACE_MS = 200;
/** As large as what agents send: a tiny message still finds room when theirs no longer do. */
const PROBE_BYTES = 256 * 1024;
const MIN_FREE_BYTES = 2 * PROBE_BYTES;

const payload = new Uint8Array(PROBE_BYTES);

const probeOnce = async (bus: Bus, timeoutMs: number): Promise<void> => {
  try {
    await bus.js.publish(PROBE.SUBJECT, payload, { timeout: timeoutMs });
  } catch (error) {
    // The first time there is no stream yet.
    if (error instanceof TimeoutError) throw error;
    await bus.jsm.streams.add({
      name: PROBE.STREAM,
      subjects: [PROBE.SUBJECT],
      storage: StorageType.File,
      max_msgs: 1,
    });
    await bus.js.publish(PROBE.SUBJECT, payload, { timeout: timeoutMs });
  }
};

const freeBytes = async (dir: string): Promise<number> => {
  const { bavail, bsize } = await statfs(dir);
  return bavail * bsize;
};

export const superviseNats = async (options: SuperviseOptions): Promise<SupervisedNats> => {
  const onEvent = options.onEvent ?? (() => {});
  const stopping = new AbortController();
  const { signal } = stopping;
  let running = await startNats(options);
  const { port, url } = running;
  onEvent({ type: 'started', pid: running.pid });
  const storeDir = options.storeDir ?? join(options.dir, 'jetstream');
  let healthy = true;

  const watch = async (server: NatsProcess): Promise<void> => {
    let alive = true;
    void server.exited.then(() => {
      alive = false;
    });
    const bus = await connectBus({
      servers: server.url,
      name: 'probe',
      inboxPrefix: PROBE.INBOX,
      ...(options.probeSeed === undefined ? {} : { nkeySeed: options.probeSeed }),
    }).catch(() => undefined);
    const limit = options.misses ?? MISSES;
    let misses = bus === undefined ? limit : 0;
    let wasFull = false;
    while (bus !== undefined && alive && !signal.aborted) {
      const free = await freeBytes(storeDir).catch(() => MIN_FREE_BYTES);
      if (free < MIN_FREE_BYTES) {
        // Killing it now would help nobody.
        healthy = false;
        if (!wasFull) onEvent({ type: 'disk-full', freeBytes: free });
        wasFull = true;
      } else if (wasFull) {
        break;
      } else {
        try {
          await probeOnce(bus, options.probeTimeoutMs ?? PROBE_TIMEOUT_MS);
          healthy = true;
          misses = 0;
        } catch (error) {
          if (!alive || signal.aborted) break;
          healthy = false;
          misses += 1;
          onEvent({ type: 'probe-failed', misses, error });
        }
        if (misses >= limit) break;
      }
      await Promise.race([
        sleep(options.probeIntervalMs ?? PROBE_INTERVAL_MS, undefined, { signal }).catch(() => {}),
        server.exited,
      ]);
    }
    await bus?.nc.close();
    // One that ended by itself fails its probe a moment before its end is known.
    await Promise.race([server.exited, sleep(EXIT_GRACE_MS)]);
    if (signal.aborted || !alive) return;
    healthy = false;
    onEvent({ type: 'killed', pid: server.pid });
    server.kill('SIGKILL');
    await server.exited;
  };

  const supervise = async (): Promise<void> => {
    while (!signal.aborted) {
      await watch(running);
      if (signal.aborted) return;
      healthy = false;
      onEvent({ type: 'exited', pid: running.pid });
      for (let started = false; !started && !signal.aborted; ) {
        try {
          running = await startNats({ ...options, port });
          started = true;
          onEvent({ type: 'started', pid: running.pid });
        } catch (error) {
          onEvent({ type: 'start-failed', error });
          await sleep(RESTART_MS, undefined, { signal }).catch(() => {});
        }
      }
    }
  };

  const supervising = supervise();
  return {
    url,
    get process() {
      return running;
    },
    healthy: () => healthy,
    stop: async () => {
      stopping.abort();
      await running.stop();
      await supervising;
      await running.stop();
    },
  };
};
