// SPDX-License-Identifier: Apache-2.0
/**
 * A Postgres server of our own, from the binaries in node_modules: for the demo, small installations and tests.
 *
 * Invariants: it listens on loopback only, wants a password (SCRAM), never runs as root, and never outlives the
 * process that started it, however that ends: a small shell holds a pipe to us and stops the server when it closes.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { weirError } from '@weir/errors';
import pg from 'pg';
import { type PostgresBinaries, postgresBinaries, worldReachable } from './postgres-binaries.ts';

export interface EmbeddedPostgresOptions {
  /** Holds `data/` and `password`; made when missing, reused when there. */
  readonly dir: string;
  /** 0 or absent: a free one. */
  readonly port?: number;
  /** Unix user that runs the server when we are root. Default: postgres, else nobody. */
  readonly user?: string;
  /** More settings of postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Nothing needs to survive a power cut (tests). */
  readonly volatile?: boolean;
}

export interface EmbeddedPostgres {
  /** Of the database `postgres`, as superuser, with the password in it. */
  readonly url: string;
  readonly port: number;
  /** Process id of the server, for fault tests. */
  readonly pid: number;
  /** URL of another database of this server. */
  urlOf(database: string): string;
  /** Creates the database unless it is there; returns its URL. */
  ensureDatabase(database: string): Promise<string>;
  /** The last lines that the server logged. */
  log(): string;
  /** Settles when the server has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** fast waits for a clean end; immediate is a crash (recovery at the next start). */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
}

interface Owner {
  readonly uid?: number;
  readonly gid?: number;
}

const START_TIMEOUT_MS = 60_000;
const START_POLL_MS = 50;
const LOG_KEPT_BYTES = 16 * 1024;
const SUPERUSER = 'postgres';
const BIND_ATTEMPTS = 5;

/** Ends the server (SIGINT: fast shutdown) when our end of the pipe on standard input closes. */
const GUARD = `
exec 3<&0
"$@" 3<&- </dev/null &
server=$!
echo "server $server"
( read -r _ <&3; kill -INT $server 2>/dev/null ) >/dev/null 2>&1 &
guard=$!
trap '' INT TERM HUP
wait $server
code=$?
kill $guard 2>/dev/null
exit $code
`;

const VOLATILE_SETTINGS: Readonly<Record<string, string>> = {
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  autovacuum_naptime: '5s',
  shared_buffers: '64MB',
  dynamic_shared_memory_type: 'mmap',
};

const serverOwner = async (user: string | undefined): Promise<Owner> => {
  if (process.getuid?.() !== 0) return {};
  const run = promisify(execFile);
  for (const name of user === undefined ? ['postgres', 'nobody'] : [user]) {
    try {
      const [uid, gid] = await Promise.all(
        ['-u', '-g'].map(async (flag) => Number((await run('id', [flag, name])).stdout)),
      );
      return { uid, gid };
    } catch {}
  }
  throw weirError('INVALID_ARGUMENT', `there is no user ${user ?? 'postgres or nobody'} to run Postgres as`, {
    field: 'user',
    value: user,
    fix: 'name an existing user that is not root',
  });
};

export const freePort = (): Promise<number> =>
  new Promise((done, failed) => {
    const probe = createServer();
    probe.once('error', failed);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => done(typeof address === 'object' && address ? address.port : 0));
    });
  });

const initialise = async (dir: string, owner: Owner, binaries: PostgresBinaries, volatile: boolean): Promise<void> => {
  const data = join(dir, 'data');
  const passwordFile = join(dir, 'password');
  writeFileSync(passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600 });
  if (owner.uid !== undefined) chownSync(passwordFile, owner.uid, owner.gid ?? owner.uid);
  rmSync(data, { recursive: true, force: true });
  const flags = [
    '--auth=scram-sha-256',
    `--username=${SUPERUSER}`,
    `--pwfile=${passwordFile}`,
    '--encoding=UTF8',
    '--locale=C',
  ];
  try {
    await promisify(execFile)(binaries.initdb, [`--pgdata=${data}`, ...flags, ...(volatile ? ['--no-sync'] : [])], {
      ...owner,
      cwd: dir,
      env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
    });
  } catch (error) {
    rmSync(data, { recursive: true, force: true });
    throw weirError('INTERNAL', `Postgres could not make its data folder ${data}`, {
      cause: error,
      details: { stderr: String((error as { stderr?: string }).stderr ?? '').slice(-2000) },
    });
  }
};

interface Running {
  readonly shell: ChildProcess;
  readonly ended: Promise<void>;
  pid: number;
  log: string;
  exited: boolean;
}

const launch = (
  dir: string,
  port: number,
  owner: Owner,
  binaries: PostgresBinaries,
  settings: Readonly<Record<string, string>>,
): Running => {
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const shell = spawn(
    '/bin/sh',
    ['-c', GUARD, 'weir-postgres', binaries.postgres, '-D', join(dir, 'data'), '-p', String(port), ...flags],
    // A group of its own: Ctrl-C in a terminal must not reach the server before its clients have ended.
    {
      ...owner,
      cwd: dir,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
    },
  );
  const running: Running = {
    shell,
    pid: 0,
    log: '',
    exited: false,
    ended: new Promise((done) => {
      const end = (): void => {
        running.exited = true;
        done();
      };
      shell.once('close', end);
      shell.once('error', (error) => {
        running.log += String(error);
        end();
      });
    }),
  };
  shell.stdin?.on('error', () => {});
  shell.stdout?.setEncoding('utf8').on('data', (text: string) => {
    const match = /^server (\d+)/.exec(text);
    if (match) running.pid = Number(match[1]);
  });
  shell.stderr?.setEncoding('utf8').on('data', (text: string) => {
    running.log = (running.log + text).slice(-LOG_KEPT_BYTES);
  });
  return running;
};

const answers = async (url: string): Promise<boolean> => {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
};

const untilReady = async (running: Running, url: string): Promise<void> => {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!(running.log.includes('ready to accept connections') && (await answers(url)))) {
    if (running.exited) {
      throw weirError('UNAVAILABLE', 'Postgres ended while it started', { details: { log: running.log.slice(-2000) } });
    }
    if (performance.now() > deadline) {
      running.shell.stdin?.end();
      throw weirError('UNAVAILABLE', `Postgres was not ready after ${START_TIMEOUT_MS / 1000} s`, {
        details: { log: running.log.slice(-2000) },
      });
    }
    await sleep(START_POLL_MS);
  }
};

/** Pipes and the child must not keep the event loop of a test alive that forgot to stop the server. */
const unref = ({ shell }: Running): void => {
  shell.unref();
  for (const stream of [shell.stdin, shell.stdout, shell.stderr])
    (stream as unknown as { unref?(): void } | null)?.unref?.();
};

export const startEmbeddedPostgres = async (options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> => {
  const dir = resolve(options.dir);
  const owner = await serverOwner(options.user);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  if (owner.uid !== undefined) {
    chownSync(dir, owner.uid, owner.gid ?? owner.uid);
    if (!worldReachable(join(dir, '..'))) {
      throw weirError('INVALID_ARGUMENT', `the user that runs Postgres cannot reach ${dir}`, {
        field: 'dir',
        value: dir,
        fix: 'Postgres never runs as root: choose a folder whose parents other users may enter, such as /var/lib/weir',
      });
    }
  }
  const binaries = postgresBinaries(owner.uid !== undefined, dir);
  if (!existsSync(join(dir, 'data', 'PG_VERSION')) || !existsSync(join(dir, 'password'))) {
    await initialise(dir, owner, binaries, options.volatile ?? false);
  }
  const password = readFileSync(join(dir, 'password'), 'utf8').trim();
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    log_destination: 'stderr',
    ...(options.volatile ? VOLATILE_SETTINGS : {}),
    ...options.settings,
  };
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port || (await freePort());
    const urlOf = (database: string): string => `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/${database}`;
    const running = launch(dir, port, owner, binaries, settings);
    try {
      await untilReady(running, urlOf('postgres'));
    } catch (error) {
      // Somebody took the free port between our look and the server's bind.
      if (!options.port && attempt < BIND_ATTEMPTS && running.log.includes('Address already in use')) continue;
      throw error;
    }
    unref(running);
    return face(running, port, urlOf);
  }
};

const face = (running: Running, port: number, urlOf: (database: string) => string): EmbeddedPostgres => ({
  url: urlOf('postgres'),
  port,
  pid: running.pid,
  urlOf,
  ensureDatabase: async (database) => {
    const client = new pg.Client({ connectionString: urlOf('postgres') });
    await client.connect();
    try {
      const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [database]);
      if (rowCount === 0) await client.query(`create database ${client.escapeIdentifier(database)}`);
    } finally {
      await client.end();
    }
    return urlOf(database);
  },
  log: () => running.log,
  ended: running.ended,
  stop: async (mode = 'fast') => {
    if (running.exited) return;
    running.shell.ref();
    if (mode === 'immediate') process.kill(running.pid, 'SIGQUIT');
    else running.shell.stdin?.end();
    await running.ended;
  },
});
