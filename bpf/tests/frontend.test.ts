// SPDX-License-Identifier: Apache-2.0
/**
 * Uplinks that serve clients outside: packet tables for services, and those of uplinks that do not, which must come to
 * the same.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { weir_drop_reason as DROP } from '../gen/index.ts';
import { FlowReader } from './lib/flows.ts';
import { runCase } from './lib/scenario.ts';
import { World } from './lib/world.ts';
import { TABLES } from './tables/index.ts';
import { services } from './tables/services.ts';
import { servicesPorts } from './tables/services-ports.ts';
import { makeWays, servicesWays, type Ways } from './tables/services-ways.ts';

const { uplink, masquerade, natErrors, nat64, egress, strict } = TABLES;
const ALL = { services, servicesPorts, uplink, masquerade, natErrors, nat64, egress, strict };

describe('packets at uplinks that serve', { skip: needKernel() }, () => {
  let world: World;
  let reader: FlowReader;
  const provoked = new Set<number>();
  before(async () => {
    world = await World.open({}, 4096, 1 << 20, ['frontend', 'nat64']);
    reader = new FlowReader(world);
  });
  after(() => world.close());

  for (const [table, cases = []] of Object.entries(ALL))
    describe(table, () => {
      for (const one of cases)
        test(one.name, async () => {
          for (const reason of await runCase(world, reader, one)) provoked.add(reason);
        });
    });

  describe('ways', () => {
    let ways: Ways;
    before(async () => {
      ways = await makeWays();
      world.netns = ways.netns;
    });
    after(async () => {
      world.netns = undefined;
      await ways.remove();
    });
    for (const one of servicesWays)
      test(one.name, async () => {
        for (const reason of await runCase(world, reader, one)) provoked.add(reason);
      });
  });

  test('every reason of services has been provoked', () => {
    const wanted = [
      DROP.DROP_NO_BACKEND,
      DROP.DROP_IS_CLUSTER_IP,
      DROP.DROP_NOT_IN_SOURCE_RANGE,
      DROP.DROP_TTL_EXCEEDED,
      DROP.DROP_FRAGMENTATION_NEEDED,
      DROP.DROP_NO_FIB,
    ];
    assert.deepEqual(
      wanted.filter((reason) => !provoked.has(reason)),
      [],
    );
  });
});
