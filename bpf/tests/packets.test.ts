// SPDX-License-Identifier: Apache-2.0
/**
 * All packet tables against the loaded programs, and at the end: every drop reason of the contract was provoked by
 * some packet, or is named here with why none can.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { weir_drop_reason as DROP, DROP_TEXT } from '../gen/index.ts';
import { FlowReader } from './lib/flows.ts';
import { runCase } from './lib/scenario.ts';
import { World } from './lib/world.ts';
import { TABLES } from './tables/index.ts';

const TAKEN_OFF = 'backends that answer by themselves: dsr.test.ts';
const SERVED = 'by uplinks that serve clients outside: frontend.test.ts';
const CANNOT_BE_PROVOKED: Readonly<Record<number, string>> = {
  [DROP.DROP_NONE]: 'not a drop',
  [DROP.DROP_NO_BACKEND]: 'by services: sockets.test.ts, frontend.test.ts',
  [DROP.DROP_FRAGMENTATION_NEEDED]: SERVED,
  [DROP.DROP_NO_FIB]: SERVED,
  [DROP.DROP_IS_CLUSTER_IP]: SERVED,
  [DROP.DROP_NOT_IN_SOURCE_RANGE]: SERVED,
  [DROP.DROP_TTL_EXCEEDED]: SERVED,
  [DROP.DROP_ENCAPSULATION_PROHIBITED]: TAKEN_OFF,
  [DROP.DROP_UNSUPPORTED_FOR_DSR]: TAKEN_OFF,
  [DROP.DROP_NO_TUNNEL_KEY]: 'at the tunnel device: overlay.test.ts',
  [DROP.DROP_INVALID_IDENTITY]: 'at the tunnel device: overlay.test.ts',
  [DROP.DROP_UNKNOWN_SENDER]: 'at the tunnel device: overlay.test.ts',
  [DROP.DROP_WRITE_ERROR]: 'bpf_skb_store_bytes fails only when the kernel is out of memory',
  [DROP.DROP_CT_INSERT_FAILED]: 'an LRU map makes room; it fails only when all its entries are being changed at once',
  [DROP.DROP_PREFILTER]: 'by XDP, which these tables do not run: prefilter.test.ts does',
};

const skip = needKernel();
describe('packets', { skip }, () => {
  let world: World;
  let reader: FlowReader;
  const provoked = new Set<number>();
  before(async () => {
    world = await World.open({}, 4096, 1 << 20, ['host', 'nat64'], 4096);
    reader = new FlowReader(world);
  });
  after(() => world.close());

  for (const [table, cases] of Object.entries(TABLES)) {
    describe(table, () => {
      for (const one of cases) {
        test(one.name, async () => {
          for (const reason of await runCase(world, reader, one)) provoked.add(reason);
        });
      }
    });
  }

  test('fragments that are not tracked are dropped', async () => {
    const untracking = await World.open({ track_fragments: 0 });
    try {
      const { fragmentsUntracked } = await import('./tables/transport.ts');
      for (const reason of await runCase(untracking, new FlowReader(untracking), fragmentsUntracked))
        provoked.add(reason);
    } finally {
      untracking.close();
    }
  });

  test('every drop reason has been provoked', () => {
    const wanted = Object.keys(DROP_TEXT).map(Number);
    const missing = wanted.filter((reason) => !provoked.has(reason) && !(reason in CANNOT_BE_PROVOKED));
    assert.deepEqual(missing, []);
    const needless = Object.keys(CANNOT_BE_PROVOKED).filter((reason) => provoked.has(Number(reason)));
    assert.deepEqual(needless, []);
  });
});
