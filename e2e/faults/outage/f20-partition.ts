// SPDX-License-Identifier: Apache-2.0
/** A host that the network cuts off keeps what it has, and takes the newest configuration when it is back. */
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { callApi } from '@weir/infra/api';
import { until } from '@weir/infra/fleet';
import { report } from '../../lib/figures.ts';
import { isLong, size } from '../../lib/size.ts';
import { PORTS, type Scene, untilStored } from './scene.ts';

const HOST = 'h1';

export const partition = async (t: TestContext, scene: Scene): Promise<void> => {
  const { fleet } = scene;
  const { inventory } = fleet.control.urls;
  const cutMs = size({ short: 2_000, long: 120_000 });
  const [first, second] = PORTS;
  const directions = size({ short: ['both'] as const, long: ['both', 'in', 'out'] as const });
  const stateOf = async (): Promise<string> =>
    (await callApi<{ state: string }>(`${inventory}/v1/hosts/${HOST}`)).state;
  for (const direction of directions) {
    await until('inventory to see the host alive', 60_000, async () => (await stateOf()) === 'alive');
    fleet.cut(HOST, direction);
    const cutAt = performance.now();
    let detectedMs = 0;
    const detection = !isLong
      ? Promise.resolve()
      : until('inventory to notice', 60_000, async () => {
          if ((await stateOf()) === 'alive') return false;
          detectedMs = performance.now() - cutAt;
          return true;
        });
    // Three changes that it does not hear; the last one counts.
    for (const port of [second, first, second]) await scene.allow(port);
    await detection;
    await sleep(Math.max(0, cutMs - (performance.now() - cutAt)));
    const keptOld = (await scene.reaches(scene.friend, first, true)) && !(await scene.reaches(scene.friend, second));
    const passed = await scene.reaches(scene.stranger, first);
    fleet.heal(HOST);
    const appliedMs = await scene.untilOnly(second, first);
    const run = await untilStored(scene, HOST);
    report(
      t,
      'F20',
      {
        direction,
        cut_s: cutMs / 1000,
        detected_s: (detectedMs / 1000).toFixed(1),
        applied_s: (appliedMs / 1000).toFixed(1),
        lost: run.lost_ring + run.lost_spool,
      },
      [
        // One way, what it hears while it cannot answer may be realised: that is the newest, not stale.
        ['while cut off, what it had is enforced', direction !== 'both' || keptOld],
        ['nothing forbidden passes', !passed],
        ['detected in 30 s', !isLong || (detectedMs > 0 && detectedMs <= 30_000)],
        ['the newest is applied in 5 s', !isLong || appliedMs <= 5_000],
        ['0 events lost', run.lost_ring + run.lost_spool === 0],
      ],
    );
    await fleet.waitRealised(await scene.allow(first), 60_000);
    await scene.untilOnly(first, second);
  }
};
