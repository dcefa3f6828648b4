// SPDX-License-Identifier: Apache-2.0
/** Silence is no message: somebody has to look whether a host went silent, so that those who follow changes hear of it. */
import type { Database } from '@weir/db';
import { saveSilence } from '../store/host-status.ts';
import type { Tables } from '../store/tables.ts';
import type { Consumer } from './heartbeats.ts';

const LOOK_MS = 1_000;

export const watchLiveness = (db: Database<Tables>, onError: (error: unknown) => void): Consumer => {
  let looking: Promise<void> | undefined;
  const timer = setInterval(() => {
    looking ??= saveSilence(db)
      .catch(onError)
      .finally(() => {
        looking = undefined;
      });
  }, LOOK_MS);
  return {
    stop: async () => {
      clearInterval(timer);
      await looking;
    },
  };
};
