// SPDX-License-Identifier: Apache-2.0
/**
 * nkeys as keys of node:crypto, whose Ed25519 is some fifty times faster than the JavaScript one: a host
 * verifies thousands of documents when it starts.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { createAccount, createUser, fromPublic, fromSeed } from '@nats-io/nkeys';
import { weirError } from '@weir/errors';

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const KEY_BYTES = 32;
/** One byte of type before a public key, two before a seed. */
const PUBLIC_PREFIX_BYTES = 1;
const SEED_PREFIX_BYTES = 2;
/** Of an Ed25519 private key in PKCS #8 (RFC 8410). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

const base32 = (text: string): Buffer => {
  const bytes: number[] = [];
  let value = 0;
  let bits = 0;
  for (const char of text) {
    value = (value << 5) | BASE32.indexOf(char);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((value >> bits) & 0xff);
      value &= (1 << bits) - 1;
    }
  }
  return Buffer.from(bytes);
};

const keyError = (what: string, cause: unknown): Error =>
  weirError('INVALID_ARGUMENT', `not ${what}`, { fix: 'make a pair with createKeys()', cause });

/** Throws INVALID_ARGUMENT when the text is not a public nkey (checksum included). */
export const publicKeyOf = (nkey: string): KeyObject => {
  try {
    fromPublic(nkey);
    const raw = base32(nkey).subarray(PUBLIC_PREFIX_BYTES, PUBLIC_PREFIX_BYTES + KEY_BYTES);
    return createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') } });
  } catch (cause) {
    throw keyError(`a public nkey: ${JSON.stringify(nkey)}`, cause);
  }
};

/** The pair of a seed; the seed itself is in no error. */
export const keysOf = (seed: string): { publicKey: string; privateKey: KeyObject } => {
  try {
    const publicKey = fromSeed(new TextEncoder().encode(seed)).getPublicKey();
    const raw = base32(seed).subarray(SEED_PREFIX_BYTES, SEED_PREFIX_BYTES + KEY_BYTES);
    const der = Buffer.concat([PKCS8_HEAD, raw]);
    return { publicKey, privateKey: createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }) };
  } catch {
    throw keyError('an nkey seed', undefined);
  }
};

export interface Keys {
  readonly seed: string;
  readonly publicKey: string;
}

/** `user`: a credential for the bus. `account`: a key that signs configuration. */
export const createKeys = (type: 'user' | 'account'): Keys => {
  const pair = type === 'user' ? createUser() : createAccount();
  return { seed: new TextDecoder().decode(pair.getSeed()), publicKey: pair.getPublicKey() };
};
