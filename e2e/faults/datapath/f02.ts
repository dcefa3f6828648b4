// SPDX-License-Identifier: Apache-2.0
/**
 * F02: the agent is replaced by a later version whose maps have another shape, and that by the earlier one again, while
 * datagrams with numbers go one way that is allowed and one that is not. Those from the other host come by tunnel. Some ask for
 * a service, whose maps change their shape too.
 */
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { callApi } from '@weir/infra/api';
import { type DriveReport, type Fleet, until } from '@weir/infra/fleet';
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

const VIP = '203.0.113.2';
const ASKED = 8080;

/** A service of the server's, until it is removed. */
const makeService = async (fleet: Fleet): Promise<{ remove(): Promise<void> }> => {
  const url = `${fleet.control.urls.inventory}/v1/services/default.swapped`;
  const realised = async ({ revision }: { readonly revision: number }): Promise<void> =>
    fleet.waitReported('inventory', revision, 60_000);
  const frontends = ['TCP', 'UDP'].map((protocol) => ({
    ...{ type: 'external-ip', address: VIP, port: ASKED, protocol, port_name: protocol.toLowerCase() },
  }));
  const targets = ['TCP', 'UDP'].map((protocol) => ({ port_name: protocol.toLowerCase(), port: 80, protocol }));
  const selector = { match_labels: { app: 'server' } };
  await realised(await callApi(url, { method: 'PUT', body: { frontends, targets, selector } }));
  return { remove: async () => void (await callApi(url, { method: 'DELETE' })) };
};

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
  const streams = () =>
    Promise.all([
      ...[friend, neighbour].map((from) => from.hold({ ...stream, host: server.ip4 })),
      friend.hold({ ...stream, host: VIP, port: ASKED }),
    ]);
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
  const service = await makeService(fleet);
  let [seen, gone, failed] = [0, 0, 0];
  try {
    const baseline = await streams();
    await sleep(APART_MS);
    const lostBefore = lostOf(await Promise.all(baseline.map((drive) => drive.stop({ drainMs: 2_000 }))));

    const hold = { connections: HELD / 2, tickMs: 20, stallMs: 5_000 };
    const held = await Promise.all([
      ...[friend, neighbour].map((from) => from.hold({ ...hold, host: server.ip6, port: 80 })),
      friend.hold({ ...hold, host: VIP, port: ASKED }),
    ]);
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
        for (const [host, port] of [
          [server.ip4, 80],
          [VIP, ASKED],
        ] as const) {
          const fresh = await friend.probe({ protocol: 'tcp', host, port, timeoutMs: 10_000 });
          if (!fresh.ok) failed++;
        }
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
        ...{ policy_entry_bytes: next.policyEntry.join('->'), service_bytes: next.service.join('->') },
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
        ['the shapes are others', next.policyEntry[1] > next.policyEntry[0] && next.service[1] > next.service[0]],
      ],
    );
  } finally {
    await service.remove();
    next.remove();
  }
};
