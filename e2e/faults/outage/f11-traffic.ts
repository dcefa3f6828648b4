// SPDX-License-Identifier: Apache-2.0
/** NATS is killed under the hosts' own traffic: connections and policy do not notice, and every event arrives afterwards. */
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DriveReport } from '@weir/infra/fleet';
import { agentStatus } from '../../lib/agent-api.ts';
import { report } from '../../lib/figures.ts';
import { isLong, size } from '../../lib/size.ts';
import { PORTS, type Scene, untilStored } from './scene.ts';

const HELD = 10;
const STALL_MS = size({ short: 10_000, long: 2_000 });
const REFUSED_MS = 500;
/** New connections each second; each makes events on both hosts. */
const LOAD = size({ short: { tickMs: 20, count: 2 }, long: { tickMs: 10, count: 10 } });

const sum = (drives: readonly DriveReport[], field: 'connected' | 'resets' | 'stalls' | 'sent' | 'answered'): number =>
  drives.reduce((all, drive) => all + drive[field], 0);

export const busDown = async (t: TestContext, scene: Scene): Promise<void> => {
  const { fleet, server, friend, stranger } = scene;
  const { nats } = fleet.control;
  const downMs = size({ short: 2_000, long: 60_000 });
  const port = PORTS[0];
  const hold = { port, connections: HELD, tickMs: 50, stallMs: STALL_MS };
  const holds = await Promise.all([server.ip4, server.ip6].map((host) => friend.hold({ ...hold, host })));
  const load = await friend.open({ protocol: 'tcp', host: server.ip4, port, timeoutMs: 10_000, ...LOAD });
  const attacks = await Promise.all(
    [server.ip4, server.ip6].map((host) =>
      stranger.open({ protocol: 'tcp', host, port, tickMs: 50, timeoutMs: REFUSED_MS }),
    ),
  );
  await sleep(500);
  await nats.kill();
  await sleep(downMs);
  const [opened, forbidden, held] = await Promise.all([
    load.stop({ drainMs: 10_000 }),
    Promise.all(attacks.map((drive) => drive.stop({ drainMs: REFUSED_MS }))),
    Promise.all(holds.map((drive) => drive.stop())),
  ]);
  const produced = await Promise.all(
    [...fleet.agents].map(async ([host, agent]) => [host, (await agentStatus(agent)).flows.produced] as const),
  );
  await nats.start();
  const backAt = performance.now();
  const runs = await Promise.all(produced.map(([host, count]) => untilStored(scene, host, count)));
  const drainedMs = performance.now() - backAt;

  const figures = {
    down_s: downMs / 1000,
    held: sum(held, 'connected'),
    resets: sum(held, 'resets'),
    stalls: sum(held, 'stalls'),
    new_connections: opened.sent,
    failed_new: opened.refused + opened.lost,
    forbidden: sum(forbidden, 'sent'),
    passed: sum(forbidden, 'answered'),
    events: produced.reduce((all, [, count]) => all + count, 0),
    lost: runs.reduce((all, run) => all + run.lost_ring + run.lost_spool, 0),
    drained_s: (drainedMs / 1000).toFixed(1),
  };
  report(t, 'F11', figures, [
    ['connections stay and speak', figures.held === 2 * HELD && figures.resets + figures.stalls === 0],
    ['0 failed new connections', figures.failed_new === 0 && opened.sent > 0],
    ['0 forbidden pass', figures.passed === 0 && figures.forbidden > 0],
    ['0 events lost', figures.lost === 0 && figures.events > 0],
    ['drained in 60 s', !isLong || drainedMs <= 60_000],
  ]);
};
