// SPDX-License-Identifier: Apache-2.0
export { CopyWriter, copyBinary, copyBinaryInto } from './copy.ts';
export { createDb, type Database } from './database.ts';
export { type EmbeddedPostgres, type EmbeddedPostgresOptions, startEmbeddedPostgres } from './embedded.ts';
export { isForeignKeyViolation, isRetryable, isUniqueViolation, translateFailure } from './failures.ts';
export { IDEMPOTENCY_SQL, type Once, onlyOnce } from './idempotency.ts';
export { type MigrateOptions, migrate } from './migrate.ts';
export { createPool, type PoolOptions } from './pool.ts';
export { worldReachable } from './postgres-binaries.ts';
export { type TransactionOptions, withTransaction } from './transaction.ts';
