// SPDX-License-Identifier: Apache-2.0
/** Tables of Maglev in the kernel: found by their place, which a restarted agent is told by the frontends. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { objectPath } from '@weir/bpf/objects';
import { openObject } from '@weir/loader';
import { needKernel } from '@weir/loader/testing';
import { MaglevArrays } from '../../src/apply/kernel/maglev.ts';

const slots = (number: number, size = 251) => Uint32Array.from({ length: size * 2 }, () => number);

it('tables keep their places, through a restart too, and free ones are used again', {
  skip: needKernel(),
}, async () => {
  const object = await openObject(objectPath('accelerator'), { maxEntries: { conntrack: 1024, events: 1 << 16 } });
  try {
    const tables = object.map('maglev_tables');
    const arrays = new MaglevArrays();
    await arrays.write(tables, [[4_000_000, slots(1)], [8, slots(2, 509)], [12, slots(3)]]); // biome-ignore format: a table
    const places = new Map([4_000_000, 8, 12].map((table) => [table, arrays.placeOf(table)] as const));
    assert.equal(new Set(places.values()).size, 3);
    await arrays.write(tables, [[8, slots(5, 509)]]);
    assert.equal(arrays.placeOf(8), places.get(8));
    assert.deepEqual(await arrays.read(tables, 8), slots(5, 509));

    const restarted = new MaglevArrays();
    assert.throws(() => restarted.placeOf(8), /table 8 of Maglev/);
    assert.deepEqual([...restarted.start(tables, new Map([...places, [99, 77]]))].sort(), [12, 4_000_000, 8].sort());
    assert.deepEqual(await restarted.read(tables, 4_000_000), slots(1));
    assert.equal(await restarted.read(tables, 99), undefined, 'a place where nothing is');
    restarted.remove(tables, [8, 99]);
    assert.equal(await restarted.read(tables, 8), undefined);
    await restarted.write(tables, [[16, slots(6)]]);
    assert.equal(restarted.placeOf(16), places.get(8));
    assert.deepEqual(await restarted.read(tables, 12), slots(3));
  } finally {
    object.close();
  }
});
