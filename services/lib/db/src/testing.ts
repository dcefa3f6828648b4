// SPDX-License-Identifier: Apache-2.0
/**
 * Databases for tests: each test file gets its own, cloned from a template that was migrated once.
 *
 * One Postgres serves all test files that run at the same time. Where it comes from, first that applies:
 * WEIR_TEST_PG_URL (the test runner started one, see `startTestPostgres`); else a shared keeper process, started
 * by whoever needs it first, which ends itself, its server and its files as soon as nobody is connected any more.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded.ts';
import { migrate } from './migrate.ts';
import { attachToKeeper } from './testing-keeper-client.ts';

export interface TestDatabase {
  readonly url: string;
  /** Ends its connections and removes it. */
  drop(): Promise<void>;
}

export interface TestDatabaseOptions {
  readonly schema: string;
  /** Absent: an empty database. */
  readonly migrationsDir?: string;
}

/** Tests of several packages share the machine: a slow connection there is no outage. */
const CONNECT_TIMEOUT_S = 10;
const DIR_PREFIX = 'weir-test-pg-';

const processIsAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

/** What a killed run could not remove. */
const sweepLeftovers = (): void => {
  for (const name of readdirSync(tmpdir())) {
    const pid = Number(new RegExp(`^${DIR_PREFIX}(\\d+)-`).exec(name)?.[1]);
    if (pid > 0 && !processIsAlive(pid)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
};

/** Starts a throw-away server; `stop` removes its files. It also ends when this process does. */
export const startTestPostgres = async (): Promise<EmbeddedPostgres> => {
  sweepLeftovers();
  const dir = mkdtempSync(join(tmpdir(), `${DIR_PREFIX}${process.pid}-`));
  try {
    const server = await startEmbeddedPostgres({ dir, volatile: true, settings: { max_connections: '400' } });
    return {
      ...server,
      stop: async (mode) => {
        await server.stop(mode);
        rmSync(dir, { recursive: true, force: true });
      },
    };
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
};

const urlOfDatabase = (url: string, database: string): string => {
  const parsed = new URL(url);
  parsed.pathname = `/${database}`;
  return parsed.href;
};

const withClient = async <R>(url: string, work: (client: pg.Client) => Promise<R>): Promise<R> => {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
};

const templateName = ({ schema, migrationsDir }: TestDatabaseOptions): string => {
  const hash = createHash('sha256').update(schema);
  if (migrationsDir !== undefined) {
    for (const file of readdirSync(migrationsDir).sort())
      hash.update(file).update(readFileSync(join(migrationsDir, file)));
  }
  return `template_${schema}_${hash.digest('hex').slice(0, 16)}`;
};

/** Makes the migrated template once; test files that come together wait for the first. */
const ensureTemplate = (url: string, options: TestDatabaseOptions): Promise<string> =>
  withClient(url, async (client) => {
    const template = templateName(options);
    await client.query('select pg_advisory_lock(hashtext($1))', [template]);
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1 and datistemplate', [
      template,
    ]);
    if (rowCount === 1) return template;
    await client.query(`drop database if exists "${template}" with (force)`);
    await client.query(`create database "${template}"`);
    const { migrationsDir } = options;
    if (migrationsDir !== undefined) {
      await migrate({ url: urlOfDatabase(url, template), schema: options.schema, dir: migrationsDir });
    }
    await client.query(`alter database "${template}" is_template true`);
    return template;
  });

export const testDatabase = async (options: TestDatabaseOptions): Promise<TestDatabase> => {
  const given = process.env.WEIR_TEST_PG_URL;
  const keeper = given ? { url: given, detach: () => {} } : await attachToKeeper();
  try {
    const template = await ensureTemplate(keeper.url, options);
    const name = `test_${options.schema}_${process.pid}_${randomBytes(4).toString('hex')}`;
    await withClient(keeper.url, (client) => client.query(`create database "${name}" template "${template}"`));
    return {
      url: `${urlOfDatabase(keeper.url, name)}?connect_timeout=${CONNECT_TIMEOUT_S}`,
      drop: async () => {
        await withClient(keeper.url, (client) => client.query(`drop database if exists "${name}" with (force)`));
        keeper.detach();
      },
    };
  } catch (error) {
    keeper.detach();
    throw error;
  }
};

export { schemaSnapshot } from './testing-schema.ts';
