// SPDX-License-Identifier: Apache-2.0
/** Tables off the event loop: one worker thread, started by the first that is asked for, one table after the other. */
import { Worker } from 'node:worker_threads';
import { weirError } from '@weir/errors';
import { checkInput, type MaglevInput } from './table.ts';
import type { MaglevReply } from './worker.ts';

export interface Maglev {
  /** Slot -> index into `backends`; empty when no backend has a weight. Throws INVALID_ARGUMENT as `buildTable`. */
  table(input: MaglevInput): Promise<Uint32Array>;
  close(): Promise<void>;
}

interface Waiting {
  readonly resolve: (table: Uint32Array) => void;
  readonly reject: (error: unknown) => void;
}

const ended = (cause: unknown): Error =>
  weirError('UNAVAILABLE', 'the thread that makes Maglev tables ended', { cause, retryAfterS: 1 });

export const createMaglev = (): Maglev => {
  const waiting = new Map<number, Waiting>();
  let nextId = 0;
  let worker: Worker | undefined;

  const failAll = (from: Worker, cause: unknown): void => {
    if (worker !== from) return;
    worker = undefined;
    for (const { reject } of waiting.values()) reject(ended(cause));
    waiting.clear();
  };
  const start = (): Worker => {
    const started = new Worker(new URL('./worker.ts', import.meta.url));
    started.on('message', (reply: MaglevReply) => {
      const asked = waiting.get(reply.id);
      waiting.delete(reply.id);
      if (waiting.size === 0) started.unref();
      if ('table' in reply) asked?.resolve(reply.table);
      else asked?.reject(reply.error);
    });
    started.on('error', (error) => failAll(started, error));
    started.on('exit', (code) => failAll(started, new Error(`exit code ${code}`)));
    return started;
  };
  return {
    table: async (input) => {
      // Here, because an error that crosses threads loses what it is.
      checkInput(input);
      worker ??= start();
      const to = worker;
      return new Promise<Uint32Array>((resolve, reject) => {
        const id = nextId++;
        waiting.set(id, { resolve, reject });
        to.ref();
        to.postMessage({ id, input });
      });
    },
    close: async () => {
      const ending = worker;
      if (ending === undefined) return;
      failAll(ending, undefined);
      await ending.terminate();
    },
  };
};
