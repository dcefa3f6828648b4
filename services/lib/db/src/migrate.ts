// SPDX-License-Identifier: Apache-2.0
/**
 * Forward-only migrations: plain SQL files `NNNN-what.sql`, one idea each, run in order, each once, all in one
 * transaction under an advisory lock, so that replicas may start together. The list of what ran is in
 * `<schema>.migrations`.
 */
import { readdir } from 'node:fs/promises';
import { weirError } from '@weir/errors';
import { runner } from 'node-pg-migrate';
import pg from 'pg';
import { translateFailure } from './failures.ts';
import { schemaName } from './pool.ts';

export interface MigrateOptions {
  readonly url: string;
  readonly schema: string;
  /** Folder that holds nothing but migrations. */
  readonly dir: string;
}

const FILE_NAME = /^\d{4}-[a-z0-9-]+\.sql$/;
/** Once, at the start: patience costs nothing. */
const CONNECT_TIMEOUT_MS = 15_000;

const checkFileNames = async (dir: string): Promise<void> => {
  const wrong = (await readdir(dir)).filter((name) => !FILE_NAME.test(name));
  if (wrong.length > 0) {
    throw weirError('INTERNAL', `not a migration: ${wrong.join(', ')}`, {
      field: dir,
      fix: 'name migrations NNNN-what.sql and keep nothing else in the folder',
    });
  }
};

/** Names of the migrations that ran now; empty when the schema was up to date. */
export const migrate = async (options: MigrateOptions): Promise<string[]> => {
  await checkFileNames(options.dir);
  const schema = schemaName(options.schema);
  const client = new pg.Client({
    connectionString: options.url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: `${schema} migrate`,
    options: `-c search_path=${schema} -c client_min_messages=warning`,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    const ran = await runner({
      dbClient: client,
      dir: options.dir,
      direction: 'up',
      schema,
      createSchema: true,
      migrationsSchema: schema,
      createMigrationsSchema: true,
      migrationsTable: 'migrations',
      advisoryLockMode: 'wait',
      checkOrder: true,
      log: () => {},
    });
    return ran.map(({ name }) => name);
  } catch (error) {
    throw translateFailure(error);
  } finally {
    await client.end().catch(() => {});
  }
};
