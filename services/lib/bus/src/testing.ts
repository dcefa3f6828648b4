// SPDX-License-Identifier: Apache-2.0
/** A real nats-server with JetStream in a directory of its own, for tests. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
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

const PREFIX = 'weir-nats-';

/** What a killed run could not remove. */
const sweepLeftovers = async (): Promise<void> => {
  for (const name of await readdir(tmpdir())) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    await rm(join(tmpdir(), name), { recursive: true, force: true });
  }
};

export const startTestNats = async (options: { readonly config?: string } = {}): Promise<TestNats> => {
  await sweepLeftovers();
  const dir = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
  let config = options.config ?? '';
  let running = await startNats({ dir, config, dieWithParent: true });
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
      running = await startNats({ dir, config, port, dieWithParent: true });
    },
    stop: async () => {
      await running.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
};
