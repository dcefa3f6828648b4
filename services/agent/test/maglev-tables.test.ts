// SPDX-License-Identifier: Apache-2.0
/** Slots of Maglev tables through changes: who keeps whom, and when nobody has to any more. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { weir_maglev_bits } from '@weir/bpf';
import { createMaglev } from '@weir/maglev';
import {
  type MaglevFlow,
  type MaglevPort,
  type MaglevSlots,
  MaglevTables,
  merge,
  SETTLE_MS,
} from '../src/apply/maglev-tables.ts';
import type { PlannedMaglev } from '../src/plan/service-view.ts';

const { MAGLEV_CHANGED } = weir_maglev_bits;
const SEED = Buffer.from('AAECAwQFBgcICQoL', 'base64');
const TABLE = 4;
const never = (): boolean => false;
const pairs = (slots: Uint32Array): [number, number][] =>
  Array.from({ length: slots.length / 2 }, (_, i) => [slots[2 * i] ?? 0, slots[2 * i + 1] ?? 0]);
const of = (...slots: [number, number][]): MaglevSlots => Uint32Array.from(slots.flat());

describe('slots of a Maglev table', () => {
  const step = (now: number, before: [number, number], keeping: number[], mayForget = never): [number, number] =>
    pairs(merge(Uint32Array.of(now), of(before), new Set(keeping), mayForget).slots)[0] ?? [0, 0];

  it('a first table has no past', () => {
    const { slots, isDifferent, isSettled } = merge(Uint32Array.of(1, 2), undefined, new Set([1, 2]), never);
    assert.deepEqual(pairs(slots), [[1, 1], [2, 2]]); // biome-ignore format: a table
    assert.deepEqual([isDifferent, isSettled], [true, true]);
  });

  it('a slot that changes hands keeps the first it had, as long as that one keeps its connections', () => {
    assert.deepEqual(step(2, [1, 1], [1, 2]), [2, 1]);
    assert.deepEqual(step(3, [2, 1], [1, 2, 3]), [3, 1]);
    assert.deepEqual(step(3, [2, 1], [2, 3]), [3, 2]);
    assert.deepEqual(step(3, [2, 2], [3]), [3, 3]);
    // Others may have had it in between.
    assert.deepEqual(step(3, [2, 1], [3]), [3, (3 | MAGLEV_CHANGED) >>> 0]);
    assert.deepEqual(step(2, [2, 1], [1, 2]), [2, 1]);
    assert.deepEqual(step(2, [2, 1], [2]), [2, (2 | MAGLEV_CHANGED) >>> 0]);
  });

  it('one that comes back is asked for in the table of connections until those of the other are gone', () => {
    const back = (1 | MAGLEV_CHANGED) >>> 0;
    assert.deepEqual(step(1, [2, 1], [1, 2]), [1, back]);
    assert.deepEqual(step(1, [1, back], [1, 2]), [1, back]);
    assert.deepEqual(step(1, [1, back], [1, 2], () => true), [1, 1]); // biome-ignore format: one step
  });

  it('what is settled has no past any more', () => {
    assert.deepEqual(step(2, [2, 1], [1, 2], () => true), [2, 2]); // biome-ignore format: one step
  });
});

describe('Maglev tables', () => {
  const backend = (number: number) => ({ number, key: `10.0.0.${number}:80/6`, weight: 100 });
  const planned = (taking: number[], keeping = taking): PlannedMaglev => ({
    ...{ size: 251, backends: taking.map(backend), keeping: new Set(keeping) },
  });
  const open = () => {
    const kernel = new Map<number, MaglevSlots>();
    const flows: MaglevFlow[] = [];
    const clock = { ms: 10 * SETTLE_MS };
    let writes = 0;
    const port: MaglevPort = {
      readMaglev: async (table) => kernel.get(table)?.slice(),
      writeMaglev: async (entries) => {
        writes += entries.length;
        for (const [table, slots] of entries) kernel.set(table, slots);
      },
      removeMaglev: async (tables) => {
        for (const table of tables) kernel.delete(table);
      },
      readFlows: async (visit) => flows.forEach(visit),
    };
    const maglev = createMaglev();
    const start = () => new MaglevTables(port, () => clock.ms, maglev);
    let tables = start();
    return {
      ...{ kernel, flows, clock, close: () => maglev.close() },
      writes: () => writes,
      restart: () => {
        tables = start();
      },
      put: (one: PlannedMaglev, seed: Uint8Array = SEED) =>
        tables.put(new Map([[TABLE, one]]), new Set(kernel.keys()), seed),
      slots: () => pairs(kernel.get(TABLE) ?? of()),
      unsettled: () => pairs(kernel.get(TABLE) ?? of()).filter(([current, previous]) => current !== previous).length,
    };
  };

  it('are written when something in them changed, and after a restart only then', async () => {
    const table = open();
    await table.put(planned([1, 2, 3]));
    await table.put(planned([1, 2, 3]));
    assert.equal(table.writes(), 1);
    table.restart();
    await table.put(planned([3, 2, 1]));
    assert.equal(table.writes(), 1);
    const before = table.slots();
    await table.put(planned([1, 2], [1, 2]));
    assert.equal(table.writes(), 2);
    for (const [slot, [current, previous]] of table.slots().entries()) {
      const [was = 0] = before[slot] ?? [];
      assert.notEqual(current, 3);
      assert.equal(previous, was === 3 ? current : was);
    }
    await table.put(planned([1, 2]), Buffer.alloc(12, 7));
    assert.equal(table.writes(), 3);
    await table.close();
  });

  it('a terminating backend is previous until nobody can be left, however often the agent starts', async () => {
    const table = open();
    await table.put(planned([1, 2, 3]));
    await table.put(planned([1, 2], [1, 2, 3]));
    const changed = table.unsettled();
    assert.ok(changed >= 251 / 3 - 10, `${changed}`);
    assert.equal(table.slots().filter(([, previous]) => previous === 3).length >= 251 / 3 - 10, true);
    table.clock.ms += SETTLE_MS - 1;
    await table.put(planned([1, 2], [1, 2, 3]));
    assert.equal(table.unsettled(), changed);
    table.restart();
    table.clock.ms += 1;
    await table.put(planned([1, 2], [1, 2, 3]));
    table.clock.ms += SETTLE_MS - 1;
    await table.put(planned([1, 2], [1, 2, 3]));
    assert.equal(table.unsettled(), changed);
    const heard = table.slots().findIndex(([current, previous]) => current !== previous);
    const lastNs = BigInt(table.clock.ms) * 1_000_000n;
    table.flows.push({ table: TABLE, slot: heard, backend: 3, lastNs });
    table.clock.ms += 1;
    await table.put(planned([1, 2], [1, 2, 3]));
    assert.equal(table.unsettled(), 1);
    assert.notEqual(table.slots()[heard]?.[0], table.slots()[heard]?.[1]);
    table.flows.pop();
    table.clock.ms += 60_000;
    await table.put(planned([1, 2], [1, 2, 3]));
    assert.equal(table.unsettled(), 0);
    await table.close();
  });
});
