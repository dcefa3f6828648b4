// SPDX-License-Identifier: Apache-2.0
/** Runs a nats-server as a child process: started when it answers, stopped for good even when it hangs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { weirError } from '@weir/errors';
import { storeConfig } from './server-config.ts';

export interface NatsProcessOptions {
  /** Holds nats.conf, the log and the store. */
  readonly dir: string;
  readonly host?: string;
  /** 0: any free one. */
  readonly port?: number;
  /** Text of the configuration, without host, port and store (natsServerConfig). */
  readonly config?: string;
  /** Where the streams are kept; default `dir`/jetstream. */
  readonly storeDir?: string;
  /** Ends with this process however that ends (tests), where setpriv is there. */
  readonly dieWithParent?: boolean;
  /** Most that the streams may take; as in natsServerConfig. */
  readonly maxStoreBytes?: number;
}

export interface NatsProcess {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves when the process is gone, wanted or not. */
  readonly exited: Promise<void>;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM; SIGKILL after 3 s, because 2.9 ignores SIGTERM when its disk is full. */
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 10_000;
const STOP_GRACE_MS = 3_000;
const POLL_MS = 20;

/** `WEIR_NATS_SERVER` names another binary than the one on the path. */
export const natsServerBinary = (): string => process.env.WEIR_NATS_SERVER ?? 'nats-server';

const alive = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;

/** The server writes its ports to a file when it listens. */
const waitForPorts = async (dir: string, child: ChildProcess): Promise<number> => {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    if (!alive(child)) break;
    const file = (await readdir(dir)).find((name) => name.endsWith(`_${child.pid}.ports`));
    if (file !== undefined) {
      try {
        const { nats } = JSON.parse(await readFile(join(dir, file), 'utf8')) as { nats?: string[] };
        const url = nats?.[0];
        if (url !== undefined) return Number(new URL(url).port);
      } catch {
        // Not wholly written yet.
      }
    }
    await sleep(POLL_MS);
  }
  const log = await readFile(join(dir, 'nats.log'), 'utf8').catch(() => '');
  child.kill('SIGKILL');
  throw weirError('UNAVAILABLE', `nats-server did not start in ${dir}`, {
    fix: 'read the log',
    details: { log: log.slice(-2_000) },
  });
};

const configText = (options: NatsProcessOptions, host: string, storeDir: string): string =>
  [
    `host: ${JSON.stringify(host)}`,
    `port: ${options.port === undefined || options.port === 0 ? -1 : options.port}`,
    `ports_file_dir: ${JSON.stringify(options.dir)}`,
    storeConfig(storeDir, options.maxStoreBytes),
    options.config ?? '',
    '',
  ].join('\n');

const SETPRIV = '/usr/bin/setpriv';

const commandOf = ({ dieWithParent }: NatsProcessOptions, configFile: string): string[] => {
  const server = [natsServerBinary(), '-c', configFile];
  return dieWithParent === true && existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'KILL', '--', ...server] : server;
};

export const startNats = async (options: NatsProcessOptions): Promise<NatsProcess> => {
  const host = options.host ?? '127.0.0.1';
  const storeDir = options.storeDir ?? join(options.dir, 'jetstream');
  await mkdir(options.dir, { recursive: true });
  for (const name of await readdir(options.dir)) if (name.endsWith('.ports')) await rm(join(options.dir, name));
  const configFile = join(options.dir, 'nats.conf');
  await writeFile(configFile, configText(options, host, storeDir), { mode: 0o600 });
  const log = createWriteStream(join(options.dir, 'nats.log'), { flags: 'a' });
  await once(log, 'open');
  const [command = '', ...words] = commandOf(options, configFile);
  const child = spawn(command, words, { stdio: ['ignore', log, log] });
  log.close();
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  try {
    await once(child, 'spawn');
  } catch (cause) {
    throw weirError('UNAVAILABLE', `${natsServerBinary()} could not be run`, {
      fix: 'install nats-server or set WEIR_NATS_SERVER to its path',
      cause,
    });
  }
  const port = await waitForPorts(options.dir, child);
  return {
    url: `nats://${host}:${port}`,
    port,
    pid: child.pid as number,
    exited,
    kill: (signal) => void child.kill(signal),
    stop: async () => {
      if (!alive(child)) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
      await exited;
      clearTimeout(timer);
    },
  };
};
