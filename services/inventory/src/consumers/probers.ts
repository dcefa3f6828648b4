// SPDX-License-Identifier: Apache-2.0
/**
 * Looks every second whether backends need another prober, and whether those that start slowly get more of their weight.
 * Hosts are believed to be silent only when this process could have heard them: it, its bus and its database are there for a while.
 */
import type { Bus } from '@weir/bus';
import type { Database } from '@weir/db';
import { STALE_AFTER_MS } from '../domain/liveness.ts';
import { every } from '../every.ts';
import { assignProbers, rampUp } from '../operations/backend-health.ts';
import type { Tables } from '../store/tables.ts';
import type { Consumer } from './heartbeats.ts';

const LOOK_MS = 1_000;
/** Agents come back to a bus within a few seconds, and speak every five. */
const SETTLE_MS = STALE_AFTER_MS + 10_000;

export const watchProbers = (bus: Bus, db: Database<Tables>, onError: (error: unknown) => void): Consumer => {
  let hearsSince = performance.now();
  const deaf = (): void => {
    hearsSince = Number.POSITIVE_INFINITY;
  };
  void (async () => {
    for await (const { type } of bus.nc.status()) {
      if (type === 'disconnect') deaf();
      if (type === 'reconnect') hearsSince = performance.now();
    }
  })();
  return every(
    LOOK_MS,
    async () => {
      try {
        await assignProbers(db, { takeOver: performance.now() - hearsSince > SETTLE_MS });
        await rampUp(db);
      } catch (error) {
        // Heartbeats that could not be stored were not heard either.
        if (hearsSince !== Number.POSITIVE_INFINITY) hearsSince = performance.now();
        throw error;
      }
    },
    onError,
  );
};
