// SPDX-License-Identifier: Apache-2.0
/**
 * F02: the agent is replaced by a later version whose maps have another shape, and that by the earlier one again, while
 * datagrams with numbers go one way that is allowed and one that is not. Those from the other host come by tunnel.
 */
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DriveReport, until } from '@weir/infra/fleet';
import { agentStatus } from '../../lib/agent-api.ts';
import { report } from '../../lib/figures.ts';
import { establishedConnections } from '../../lib/pinned.ts';
import { setRouting, waitTunnelled } from '../../lib/routing.ts';
import { size } from '../../lib/size.ts';
import { buildNextVersion } from './next-version.ts';
import type { Scene } from './scene.ts';

const ROUNDS = size({ short: 1, long: 10 });
/** 20,000 a second when long. */
const TICK_MS = size({ short: 2, long: 0.05 });
/** A verdict is looked at again every 5 s: so long the stream goes on with each version. */
const APART_MS = size({ short: 500, long: 6_000 });
const HELD = size({ short: 20, long: 100 });
const HELD_AGE_MS = 250;

export const swapped = async (t: TestContext, scene: Scene): Promise<void> => {
  const { agent, fleet, friend, neighbour, server, stranger } = scene;
  await setRouting(fleet, 'tunnel');
  const next = buildNextVersion();
  await waitTunnelled(fleet, [
    ['h2', server.ip4],
    ['h2', server.ip6],
    ['h1', friend.ip4],
    ['h1', friend.ip6],
  ]);
  const stream = { protocol: 'udp', port: 80, connections: 1, tickMs: TICK_MS, stallMs: 60_000 } as const;
  const streams = () => Promise.all([friend, neighbour].map((from) => from.hold({ ...stream, host: server.ip4 })));
  const lostOf = (reports: readonly DriveReport[]) =>
    reports.reduce((sum, { sent, answered }) => sum + sent - answered, 0);
  /** Started, and in force: the new programs see new connections. */
  const start = async (main?: string): Promise<void> => {
    await agent.stop();
    await agent.start({}, main);
    await until('all workloads to be taken over', 60_000, async () => {
      const { workloads, errors } = await agentStatus(agent);
      return workloads.ready === workloads.total && workloads.total > 0 && errors.length === 0;
    });
  };
  let [seen, gone, failed] = [0, 0, 0];
  try {
    const baseline = await streams();
    await sleep(APART_MS);
    const lostBefore = lostOf(await Promise.all(baseline.map((drive) => drive.stop({ drainMs: 2_000 }))));

    const held = await Promise.all(
      [friend, neighbour].map((from) =>
        from.hold({ host: server.ip6, port: 80, connections: HELD / 2, tickMs: 20, stallMs: 5_000 }),
      ),
    );
    const forbidden = await stranger.hold({ ...stream, host: server.ip4 });
    const allowed = await streams();
    for (let round = 0; round < ROUNDS; round++) {
      for (const main of [next.main, undefined]) {
        await sleep(HELD_AGE_MS * 2);
        const before = await establishedConnections(agent.bpffs, HELD_AGE_MS);
        await start(main);
        const after = await establishedConnections(agent.bpffs, 0);
        seen += before.size;
        gone += [...before].filter((key) => !after.has(key)).length;
        const fresh = await friend.probe({ protocol: 'tcp', host: server.ip4, port: 80, timeoutMs: 10_000 });
        if (!fresh.ok) failed++;
        await sleep(APART_MS);
      }
    }
    const reports = await Promise.all(allowed.map((drive) => drive.stop({ drainMs: 2_000 })));
    const refused = await forbidden.stop({ drainMs: 500 });
    const holds = await Promise.all(held.map((drive) => drive.stop()));
    const resets = holds.reduce((sum, hold) => sum + hold.resets, 0);
    const lost = lostOf(reports);
    report(
      t,
      'F02',
      {
        rounds: ROUNDS,
        routing: 'tunnel',
        policy_entry_bytes: next.grown.join('->'),
        sent: reports.reduce((sum, { sent }) => sum + sent, 0),
        lost,
        lost_without: lostBefore,
        forbidden: refused.sent,
        passed: refused.answered,
        ct_seen: seen,
        ct_gone: gone,
        resets,
        failed_new: failed,
        tail_calls: 'none',
      },
      [
        ['no more lost than without a swap', lost <= lostBefore],
        ['0 forbidden packets delivered', refused.answered === 0 && refused.sent > 0],
        ['99.9 % of established connections survive', seen >= HELD && gone <= seen / 1_000],
        ['0 connections reset, new ones come about', resets === 0 && failed === 0],
        ['the shape is another one', next.grown[1] > next.grown[0]],
      ],
    );
  } finally {
    next.remove();
  }
};
