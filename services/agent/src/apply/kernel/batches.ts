// SPDX-License-Identifier: Apache-2.0
/** Many elements of a map in few calls, and every element of one with room for others in between. */
import type { BpfMap } from '@weir/loader';
import { breathing } from '../../breathe.ts';

const BATCH = 16_384;

export type Encode<T> = (item: T, out: Buffer, at: number) => void;

const packed = <T>(items: readonly T[], size: number, encode: Encode<T>): Buffer => {
  const bytes = Buffer.alloc(items.length * size);
  for (const [i, item] of items.entries()) encode(item, bytes, i * size);
  return bytes;
};

const inBatches = async <T>(items: readonly T[], work: (batch: readonly T[]) => Promise<unknown>): Promise<void> => {
  for (let i = 0; i < items.length; i += BATCH) await work(items.slice(i, i + BATCH));
};

export const put = <T>(map: BpfMap, items: readonly T[], key: Encode<T>, value: Encode<T>): Promise<void> =>
  inBatches(items, (batch) =>
    map.updateBatch(packed(batch, map.keySize, key), packed(batch, map.valueSize, value), batch.length),
  );

export const take = <T>(map: BpfMap, items: readonly T[], key: Encode<T>): Promise<void> =>
  inBatches(items, (batch) => map.deleteBatch(packed(batch, map.keySize, key), batch.length));

/** Every element, with room for others in between. */
export const walk = async (map: BpfMap, visit: (keys: Buffer, values: Buffer, i: number) => void): Promise<void> => {
  const { keys, values, count } = await map.lookupAll();
  const breathe = breathing();
  for (let i = 0; i < count; i++) {
    const pause = breathe();
    if (pause) await pause;
    visit(keys, values, i);
  }
};

export const clear = async (map: BpfMap): Promise<void> => {
  const { keys, count } = await map.lookupAll();
  await map.deleteBatch(keys.subarray(0, count * map.keySize), count);
};
