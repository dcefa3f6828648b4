// SPDX-License-Identifier: Apache-2.0
/** NATS, Postgres and all services are down and every agent starts anew: what was signed last is enforced meanwhile. */
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { report } from '../../lib/figures.ts';
import { isLong, size } from '../../lib/size.ts';
import { PORTS, type Scene } from './scene.ts';

export const centralDown = async (t: TestContext, scene: Scene): Promise<void> => {
  const { fleet, friend, stranger } = scene;
  const { control } = fleet;
  const downMs = size({ short: 1_000, long: 600_000 });
  const [first, second] = PORTS;
  const central = [control.nats, control.postgres, ...Object.values(control.services)];
  await Promise.all(central.map((server) => server.kill()));
  let violations = 0;
  let probed = 0;
  let probing = true;
  const attacker = (async () => {
    while (probing) {
      probed += 2;
      if (await scene.reaches(stranger, first)) violations += 1;
      if (await scene.reaches(friend, second)) violations += 1;
    }
  })();
  const hosts = [...fleet.agents.keys()];
  await Promise.all(hosts.map((host) => fleet.agents.get(host)?.kill()));
  const startedAt = performance.now();
  await Promise.all(hosts.map((host) => fleet.startAgent(host)));
  const allowed = await scene.reaches(friend, first, true);
  const enforcedMs = performance.now() - startedAt;
  await sleep(downMs);
  const stillAllowed = await scene.reaches(friend, first, true);
  await Promise.all([control.nats.start(), control.postgres.start()]);
  await Promise.all(Object.values(control.services).map((service) => service.start()));
  const backAt = performance.now();
  // Until here nothing but the policy of before may be in force; what comes next opens one of the ports.
  probing = false;
  await attacker;
  await scene.allow(second);
  await scene.untilOnly(second, first);
  const convergedMs = performance.now() - backAt;
  report(
    t,
    'F27',
    {
      down_s: downMs / 1000,
      enforced_s: (enforcedMs / 1000).toFixed(1),
      forbidden_probes: probed,
      violations,
      converged_s: (convergedMs / 1000).toFixed(1),
    },
    [
      ['0 violations', violations === 0 && probed > 0],
      ['what is allowed goes on', allowed && stillAllowed],
      ['enforced in 5 s', !isLong || enforcedMs <= 5_000],
      ['converged in 30 s', !isLong || convergedMs <= 30_000],
    ],
  );
};
