// SPDX-License-Identifier: Apache-2.0
/** A real nats-server with JetStream in a directory of its own, for tests. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NatsProcess, startNats } from './server-process.ts';

export interface TestNats {
  readonly url: string;
  readonly dir: string;
  readonly process: NatsProcess;
  /** SIGKILL: what was acknowledged is still there after `start`. */
  kill(): Promise<void>;
  /** Again on the same port with the same store, or with an empty one. */
  start(options?: { readonly wipe?: boolean; readonly config?: string }): Promise<void>;
  stop(): Promise<void>;
}

export const startTestNats = async (options: { readonly config?: string } = {}): Promise<TestNats> => {
  const dir = await mkdtemp(join(tmpdir(), 'weir-nats-'));
  let config = options.config ?? '';
  let running = await startNats({ dir, config });
  // A test that ends early leaves no server behind.
  const killAtExit = (): void => running.kill('SIGKILL');
  process.once('exit', killAtExit);
  const { port, url } = running;
  return {
    url,
    dir,
    get process() {
      return running;
    },
    kill: async () => {
      running.kill('SIGKILL');
      await running.exited;
    },
    start: async (again = {}) => {
      await running.stop();
      if (again.wipe === true) await rm(join(dir, 'jetstream'), { recursive: true, force: true });
      config = again.config ?? config;
      running = await startNats({ dir, config, port });
    },
    stop: async () => {
      process.removeListener('exit', killAtExit);
      await running.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
};
