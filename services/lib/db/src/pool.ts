// SPDX-License-Identifier: Apache-2.0
/**
 * A pg pool that fails fast and in our terms: connecting takes a second at most, waiting for a connection that
 * others use a little longer, statements have a limit on both
 * sides, and every promise it gives rejects with UNAVAILABLE when the database is away. A dying connection never
 * throws outside a promise. int8 is read as bigint.
 */
import pg from 'pg';
import { translateFailure } from './failures.ts';

export interface PoolOptions {
  readonly url: string;
  /** Becomes the search_path: names in SQL need no prefix and cannot reach another service's tables by accident. */
  readonly schema?: string;
  /** Connections. Default 10: services are async, and Postgres gains nothing from more than a few per core. */
  readonly max?: number;
  /** An API answers 503 within a second when the database is away. `?connect_timeout=` (seconds) of the URL does too. */
  readonly connectTimeoutMs?: number;
  /** How long a request waits while all connections are in use: bursts get through, an overload does not pile up. */
  readonly waitTimeoutMs?: number;
  /** Longest statement; 0 for none (migrations). */
  readonly statementTimeoutMs?: number;
  readonly lockTimeoutMs?: number;
  /** Shown in pg_stat_activity. */
  readonly name?: string;
  /** More settings of the session, such as of the planner: words and numbers. */
  readonly settings?: Readonly<Record<string, string>>;
}

const CONNECT_TIMEOUT_MS = 1_000;
const WAIT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 5_000;
const LOCK_TIMEOUT_MS = 3_000;
/** The client's own limit, for a server that no longer answers at all. */
const READ_GRACE_MS = 1_000;
const INT8_OID = 20;
const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,62}$/;

const typeParsers: pg.CustomTypesConfig = {
  // biome-ignore lint/suspicious/noExplicitAny: pg's own signature
  getTypeParser: (oid: number, format?: any): any =>
    oid === INT8_OID && format !== 'binary' ? BigInt : pg.types.getTypeParser(oid, format),
};

const rejectTranslated = (error: unknown): never => {
  throw translateFailure(error);
};

/** Wraps a method whose promise may reject with a failure of availability; streams and callbacks pass through. */
const translating =
  <Args extends unknown[]>(method: (...args: Args) => unknown) =>
  (...args: Args): unknown => {
    const result = method(...args);
    return result instanceof Promise ? result.catch(rejectTranslated) : result;
  };

/** The pool's own limit covers connecting and waiting for a turn alike; a server that is away shall show sooner. */
const clientWithTimeout = (connectTimeoutMs: number): typeof pg.Client =>
  class extends pg.Client {
    constructor(config?: string | pg.ClientConfig) {
      super({
        ...(typeof config === 'string' ? { connectionString: config } : config),
        connectionTimeoutMillis: connectTimeoutMs,
      });
    }
  };

/** libpq's parameter, for a server that is slow to answer: far away, or on an overloaded machine. */
const connectTimeoutOf = (url: string): number | undefined => {
  const seconds = Number(URL.canParse(url) ? new URL(url).searchParams.get('connect_timeout') : 0);
  return seconds > 0 ? seconds * 1_000 : undefined;
};

export const schemaName = (schema: string): string => {
  if (!SCHEMA_NAME.test(schema)) throw new TypeError(`not a schema name: ${JSON.stringify(schema)}`);
  return schema;
};

const SETTING = /^[a-z_]+=[a-z0-9_.]+$/;

/** What the server is started with for each connection; undefined: nothing. */
const sessionOptions = ({ schema, settings = {} }: PoolOptions): string | undefined => {
  const pairs = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  for (const pair of pairs) if (!SETTING.test(pair)) throw new TypeError(`not a setting: ${pair}`);
  if (schema !== undefined) pairs.unshift(`search_path=${schemaName(schema)}`);
  return pairs.length === 0 ? undefined : pairs.map((pair) => `-c ${pair}`).join(' ');
};

export const createPool = (options: PoolOptions): pg.Pool => {
  const statementTimeoutMs = options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS;
  const connectTimeoutMs = options.connectTimeoutMs ?? connectTimeoutOf(options.url) ?? CONNECT_TIMEOUT_MS;
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.max ?? 10,
    Client: clientWithTimeout(connectTimeoutMs),
    // The pool counts connecting as waiting.
    connectionTimeoutMillis: Math.max(options.waitTimeoutMs ?? WAIT_TIMEOUT_MS, connectTimeoutMs),
    statement_timeout: statementTimeoutMs,
    ...(statementTimeoutMs === 0 ? {} : { query_timeout: statementTimeoutMs + READ_GRACE_MS }),
    lock_timeout: options.lockTimeoutMs ?? LOCK_TIMEOUT_MS,
    application_name: options.name ?? 'weir',
    types: typeParsers,
    ...(sessionOptions(options) === undefined ? {} : { options: sessionOptions(options) }),
  });
  // Without a listener a lost connection would end the process; the query in flight rejects anyway.
  pool.on('error', () => {});
  pool.on('connect', (client) => {
    client.on('error', () => {});
    client.query = translating(client.query.bind(client) as (...args: unknown[]) => unknown) as typeof client.query;
  });
  pool.connect = translating(pool.connect.bind(pool) as (...args: unknown[]) => unknown) as typeof pool.connect;
  pool.query = translating(pool.query.bind(pool) as (...args: unknown[]) => unknown) as typeof pool.query;
  return pool;
};
