// SPDX-License-Identifier: Apache-2.0
/**
 * Under compose, once before the services: a database, a role for each of them that may do nothing but with its own
 * schema, and the migrations. Runs again at each start and then changes nothing.
 */
import { loadConfig, settings } from '@weir/config';
import { createPool, migrate } from '@weir/db';
import { weirError } from '@weir/errors';
import { Type } from 'typebox';
import { SERVICES, type ServiceName } from '../src/credentials.ts';

/** Both are made by keys.ts; checked, because SQL takes no parameters where they stand. */
const PASSWORD = /^[\w-]{16,}$/;
const NAME = /^[a-z]+$/;

const config = loadConfig(Type.Object({ databaseUrl: settings.databaseUrl() }), process.env, 'MIGRATE');

const urlOf = (name: ServiceName): URL => {
  const variable = `WEIR_${name.toUpperCase()}_DATABASE_URL`;
  const url = URL.parse(process.env[variable] ?? '');
  if (url && NAME.test(url.username) && NAME.test(url.pathname.slice(1)) && PASSWORD.test(url.password)) return url;
  throw weirError('INVALID_ARGUMENT', `${variable} names no user, password and database`, {
    field: variable,
    fix: 'let infra/compose/keys.ts make it',
  });
};

const run = async (url: string, statements: readonly string[]): Promise<void> => {
  const pool = createPool({ url, max: 1, name: 'weir migrate' });
  try {
    for (const statement of statements) await pool.query(statement);
  } finally {
    await pool.end();
  }
};

const exists = async (url: string, query: string, name: string): Promise<boolean> => {
  const pool = createPool({ url, max: 1, name: 'weir migrate' });
  try {
    return (await pool.query(query, [name])).rowCount === 1;
  } finally {
    await pool.end();
  }
};

const superuser = config.databaseUrl;
const urls = new Map(SERVICES.map((name) => [name, urlOf(name)]));
const database = (urls.get('inventory') as URL).pathname.slice(1);
const inDatabase = new URL(superuser);
inDatabase.pathname = `/${database}`;

if (!(await exists(superuser, 'select 1 from pg_database where datname = $1', database))) {
  await run(superuser, [`create database ${database}`]);
}
await run(inDatabase.href, [
  `revoke all on database ${database} from public`,
  'revoke all on schema public from public',
]);
for (const [name, url] of urls) {
  const verb = (await exists(superuser, 'select 1 from pg_roles where rolname = $1', url.username))
    ? 'alter'
    : 'create';
  await run(inDatabase.href, [
    `${verb} role ${url.username} login password '${url.password}'`,
    // create: its own schema, which the first migration makes
    `grant connect, create, temporary on database ${database} to ${url.username}`,
  ]);
  const dir = new URL(`../../services/${name}/migrations`, import.meta.url).pathname;
  const ran = await migrate({ url: url.href, schema: name, dir });
  process.stdout.write(`migrate: ${name}: ${ran.length === 0 ? 'up to date' : ran.join(', ')}\n`);
}
