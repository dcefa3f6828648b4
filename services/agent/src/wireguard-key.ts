// SPDX-License-Identifier: Apache-2.0
/**
 * This host's WireGuard key: made here, kept in a file that only the agent reads, told to nobody. Its public half is what
 * the fleet knows the host by. Who removes the file and starts the agent again gives the host another one.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmod, open, readFile, rename } from 'node:fs/promises';
import { weirError } from '@weir/errors';

const KEY_BYTES = 32;
/** What stands before the key itself in PKCS #8 (RFC 8410 7). */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const OWNER_ONLY = 0o600;

export interface WireguardKey {
  readonly privateKey: Uint8Array;
  /** Base64. */
  readonly publicKey: string;
}

const base64url = (key: KeyObject, part: 'd' | 'x'): Buffer =>
  Buffer.from(String(key.export({ format: 'jwk' })[part]), 'base64url');

const keyOf = (privateKey: Uint8Array): WireguardKey => {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, privateKey]), format: 'der', type: 'pkcs8' });
  return { privateKey, publicKey: base64url(createPublicKey(key), 'x').toString('base64') };
};

const make = async (path: string): Promise<WireguardKey> => {
  const privateKey = base64url(generateKeyPairSync('x25519').privateKey, 'd');
  const unfinished = `${path}.new`;
  const file = await open(unfinished, 'w', OWNER_ONLY);
  try {
    await file.writeFile(`${privateKey.toString('base64')}\n`);
    // A host must not forget what the fleet knows it by.
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(unfinished, path);
  return keyOf(privateKey);
};

/** The one in the file; made when there is none. As `wg genkey` writes it. */
export const wireguardKey = async (path: string): Promise<WireguardKey> => {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return make(path);
    throw error;
  }
  await chmod(path, OWNER_ONLY);
  const privateKey = Buffer.from(text.trim(), 'base64');
  if (privateKey.length === KEY_BYTES) return keyOf(privateKey);
  throw weirError('MALFORMED', `${path} holds no WireGuard key`, {
    fix: 'put the right one back; or remove the file and start the agent, which then makes a new one',
  });
};
