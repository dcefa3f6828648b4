// SPDX-License-Identifier: Apache-2.0
/** Settings that several services have, so that they are named, described and checked alike. */
import { Type } from 'typebox';

export const port = (fallback: number) =>
  Type.Integer({ minimum: 0, maximum: 65_535, default: fallback, description: 'TCP port; 0 for any free one' });

export const host = () => Type.String({ minLength: 1, default: '127.0.0.1', description: 'address to listen on' });

export const databaseUrl = () =>
  Type.String({
    pattern: '^postgres(ql)?://',
    secret: true,
    description: 'postgres://user:password@host:port/database',
  });

export const natsUrl = () =>
  Type.String({
    minLength: 1,
    default: 'nats://127.0.0.1:4222',
    description: 'nats://host:port, several separated by commas',
  });

export const natsSeed = () =>
  Type.String({ pattern: '^SU[A-Z2-7]{56}$', secret: true, description: 'seed of a NATS user nkey (SU...)' });

export const signingSeed = () =>
  Type.String({
    pattern: '^SA[A-Z2-7]{56}$',
    secret: true,
    description: 'seed of the account nkey that signs configuration (SA...)',
  });

export const trustedSigners = () =>
  Type.Array(Type.String({ pattern: '^A[A-Z2-7]{55}$' }), {
    env: 'WEIR_TRUSTED_SIGNERS',
    minItems: 1,
    description: 'public account nkeys whose signatures are accepted (A...), separated by commas',
  });
