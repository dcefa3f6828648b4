// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWeirError } from '@weir/errors';
import { Type } from 'typebox';
import { loadConfig, settings } from '../src/index.ts';

const schema = Type.Object({
  port: settings.port(7101),
  databaseUrl: settings.databaseUrl(),
  natsSeed: Type.Optional(settings.natsSeed()),
  maxRows: Type.Integer({ minimum: 1, default: 10, description: 'rows per batch' }),
  pool4: Type.String({ default: '10.77.0.0/16' }),
  verbose: Type.Boolean({ default: false }),
  trustedSigners: settings.trustedSigners(),
});
const signer = `A${'B'.repeat(55)}`;
const good = { WEIR_X_DATABASE_URL: 'postgres://a:b@h/d', WEIR_TRUSTED_SIGNERS: `${signer}, ${signer}`, OTHER: '1' };

const errorOf = (env: Record<string, string>) => {
  try {
    loadConfig(schema, env, 'X');
  } catch (error) {
    if (isWeirError(error)) return error;
    throw error;
  }
  throw new Error('it loaded');
};

test('values are typed, defaults fill in, shared settings have their own name', () => {
  const config = loadConfig(schema, { ...good, WEIR_X_PORT: '0', WEIR_X_VERBOSE: 'yes', WEIR_X_MAX_ROWS: '5' }, 'X');
  assert.deepEqual(config, {
    port: 0,
    databaseUrl: 'postgres://a:b@h/d',
    maxRows: 5,
    pool4: '10.77.0.0/16',
    verbose: true,
    trustedSigners: [signer, signer],
  });
});

test('all that is wrong is told at once: variable, value, fix', () => {
  const error = errorOf({ WEIR_X_PORT: '99999', WEIR_X_MAX_ROW: '5', WEIR_X_VERBOSE: 'maybe' });
  const issues = Object.fromEntries((error.facts.issues ?? []).map((issue) => [issue.path, issue]));
  assert.equal(issues.WEIR_X_PORT?.value, '99999');
  assert.match(issues.WEIR_X_PORT?.fix ?? '', /integer, at least 0, at most 65535/);
  assert.match(issues.WEIR_X_MAX_ROW?.fix ?? '', /did you mean WEIR_X_MAX_ROWS/);
  assert.match(issues.WEIR_X_DATABASE_URL?.message ?? '', /is not set/);
  assert.equal(issues.WEIR_X_VERBOSE?.value, 'maybe');
  assert.equal(Object.keys(issues).length, 5);
});

test('a secret that is wrong is not repeated', () => {
  const error = errorOf({ ...good, WEIR_X_NATS_SEED: 'SUCANARY' });
  assert.equal(error.facts.field, 'WEIR_X_NATS_SEED');
  assert.doesNotMatch(JSON.stringify(error.facts) + error.message, /CANARY/);
});
