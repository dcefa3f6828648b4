// SPDX-License-Identifier: Apache-2.0
/** From backends, seed and size to a table. Hosts that are given the same make the same, in whatever order they have it. */
import { createHash } from 'node:crypto';
import { weirError } from '@weir/errors';
import { populate } from './populate.ts';

/** Prime numbers. */
export const MAGLEV_SIZES: readonly number[] = [251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131071];
export const MAGLEV_SEED_BYTES = 12;
const MAX_WEIGHT = 65_535;
const HASH_BYTES = 6;

export interface MaglevBackend {
  /** What the fleet knows it by, e.g. `192.0.2.1:80/tcp`; no two have the same. */
  readonly key: string;
  /** 0..65535; 0 has no slot. */
  readonly weight: number;
}

export interface MaglevInput {
  readonly size: number;
  /** 12 bytes. */
  readonly seed: Uint8Array;
  readonly backends: readonly MaglevBackend[];
}

/** Throws INVALID_ARGUMENT for a size that is not in the list. */
export const checkSize = (size: number, field = 'maglev_size'): number => {
  if (MAGLEV_SIZES.includes(size)) return size;
  throw weirError('INVALID_ARGUMENT', `${field} ${size} is no size of a Maglev table`, {
    field,
    value: size,
    fix: `use one of: ${MAGLEV_SIZES.join(', ')}`,
  });
};

/** Throws INVALID_ARGUMENT unless the text is base64 of 12 bytes. */
export const decodeSeed = (text: string, field = 'maglev_seed'): Uint8Array => {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length === MAGLEV_SEED_BYTES && bytes.toString('base64') === text) return bytes;
  throw weirError('INVALID_ARGUMENT', `${field} is not base64 of ${MAGLEV_SEED_BYTES} bytes`, {
    field,
    value: text,
    fix: `head -c ${MAGLEV_SEED_BYTES} /dev/urandom | base64`,
  });
};

/** Throws INVALID_ARGUMENT that names what `buildTable` would not take. */
export const checkInput = ({ size, seed, backends }: MaglevInput): void => {
  checkSize(size, 'size');
  if (seed.length !== MAGLEV_SEED_BYTES) {
    throw weirError('INVALID_ARGUMENT', `the seed has ${seed.length} bytes`, {
      field: 'seed',
      value: `${seed.length} bytes`,
      fix: `give ${MAGLEV_SEED_BYTES} bytes`,
    });
  }
  const keys = new Set<string>();
  for (const [index, { key, weight }] of backends.entries()) {
    if (!Number.isInteger(weight) || weight < 0 || weight > MAX_WEIGHT) {
      throw weirError('INVALID_ARGUMENT', `the weight of backend ${key} is ${weight}`, {
        field: `backends[${index}].weight`,
        value: weight,
        fix: `give a whole number from 0 to ${MAX_WEIGHT}`,
      });
    }
    if (keys.has(key)) {
      throw weirError('INVALID_ARGUMENT', `backend ${key} is there twice`, {
        field: `backends[${index}].key`,
        value: key,
        fix: 'give each backend once',
      });
    }
    keys.add(key);
  }
};

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Slot -> index into `backends`. Empty when nobody has a weight. */
export const buildTable = ({ size, seed, backends }: MaglevInput): Uint32Array => {
  checkInput({ size, seed, backends });
  const taking = backends
    .map(({ key, weight }, index) => ({ key, weight, index }))
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => compare(a.key, b.key));
  if (taking.length === 0) return new Uint32Array(0);
  const turns = taking.map(({ key, weight }) => {
    const hash = createHash('sha256').update(seed).update(key).digest();
    return {
      offset: hash.readUIntBE(0, HASH_BYTES) % size,
      skip: (hash.readUIntBE(HASH_BYTES, HASH_BYTES) % (size - 1)) + 1,
      weight,
    };
  });
  const table = populate(turns, size);
  const indexes = Uint32Array.from(taking, ({ index }) => index);
  for (let slot = 0; slot < size; slot++) table[slot] = indexes[table[slot] as number] as number;
  return table;
};
