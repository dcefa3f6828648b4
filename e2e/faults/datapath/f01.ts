// SPDX-License-Identifier: Apache-2.0
/** F01: the agent is killed with -9 under load, again and again; new connections go through a service's address. */
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { report } from '../../lib/figures.ts';
import { configuredMaps, establishedConnections, pinnedIds, serviceMaps } from '../../lib/pinned.ts';
import { isLong, size } from '../../lib/size.ts';
import { type Scene, SERVED_PORT, serveAt, total, watchTraffic } from './scene.ts';

const KILLS = size({ short: 2, long: 20 });
const APART_MS = size({ short: 300, long: 3_000 });
const HELD = size({ short: 25, long: 100 });
const STALL_MS = 1_000;
/** An agent takes a health endpoint that the network does not ask for away after three seconds. */
const SETTLED_MS = 5_000;
/** Connections of the load that come and go are younger. */
const HELD_AGE_MS = 250;
const VIP = { ip4: '203.0.113.91', ip6: '2001:db8:90::91' } as const;
const FAMILIES = ['ip4', 'ip6'] as const;
/** Two hundred new ones a second. */
const NEW_TICK_MS = 5;
const KNOCK_TICK_MS = 80;

/** Lines that only one of the two has. */
const differences = (one: string, other: string): string[] => [
  ...new Set(one.split('\n')).symmetricDifference(new Set(other.split('\n'))),
];

const writtenMaps = async (bpffs: string) => ({ ...(await configuredMaps(bpffs)), ...(await serviceMaps(bpffs)) });

/** Pins as they are once an agent that has just begun has done all it has to. */
const settledPins = async (bpffs: string): Promise<string> => {
  for (let pins = pinnedIds(bpffs); ; ) {
    await sleep(SETTLED_MS);
    const later = pinnedIds(bpffs);
    if (later === pins) return pins;
    pins = later;
  }
};

export const agentKilled = async (t: TestContext, scene: Scene): Promise<void> => {
  const { agent, friend, neighbour, server, stranger } = scene;
  const done = await serveAt(scene, 'killed', VIP);
  const held = await Promise.all([
    friend.hold({ host: server.ip4, port: 80, connections: HELD, tickMs: 10, stallMs: STALL_MS }),
    neighbour.hold({ host: server.ip6, port: 80, connections: HELD, tickMs: 10, stallMs: STALL_MS }),
  ]);
  // The same program over its own loopback, where there is no datapath: what stands still here, the machine held up.
  const machine = await server.hold({ host: '127.0.0.1', port: 80, connections: 1, tickMs: 10, stallMs: STALL_MS });
  const open = { protocol: 'tcp', port: SERVED_PORT, tickMs: 2 * NEW_TICK_MS, timeoutMs: 10_000 } as const;
  const opened = await Promise.all(FAMILIES.map((family) => neighbour.open({ ...open, host: VIP[family] })));
  const knocks = await Promise.all(
    FAMILIES.map((family) => stranger.open({ ...open, host: VIP[family], tickMs: KNOCK_TICK_MS, timeoutMs: 500 })),
  );
  const watch = await watchTraffic(scene);
  const pins = await settledPins(agent.bpffs);
  let mapsChanged = 0;
  let connectionsGone = 0;
  let connectionsSeen = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    await sleep(APART_MS);
    const mapsBefore = await writtenMaps(agent.bpffs);
    const before = await establishedConnections(agent.bpffs, HELD_AGE_MS);
    await agent.kill();
    const after = await establishedConnections(agent.bpffs, 0);
    if (!isDeepStrictEqual(await writtenMaps(agent.bpffs), mapsBefore)) mapsChanged++;
    const gone = [...before].filter((key) => !after.has(key));
    connectionsSeen += before.size;
    connectionsGone += gone.length;
    await agent.start();
    if (!isDeepStrictEqual(await writtenMaps(agent.bpffs), mapsBefore)) mapsChanged++;
  }
  await sleep(APART_MS);
  const { forbidden, allowed } = await watch.stop();
  const loads = await Promise.all(opened.map((drive) => drive.stop({ drainMs: 10_000 })));
  const knocked = await Promise.all(knocks.map((drive) => drive.stop({ drainMs: 500 })));
  const holds = await Promise.all(held.map((drive) => drive.stop()));
  const resets = holds.reduce((sum, hold) => sum + hold.resets, 0);
  const stalls = holds.reduce((sum, hold) => sum + hold.stalls, 0);
  const control = await machine.stop();
  const unexplained = Math.max(0, stalls - control.stalls * 2 * HELD);
  const gaps = {
    longest_gap_ms: Math.max(...holds.map(({ longestGapMs }) => longestGapMs)),
    machine_gap_ms: control.longestGapMs,
  };
  const made = [...loads, allowed];
  const failedNew = total(made, 'refused') + total(made, 'lost');
  const attempts = [...forbidden, ...knocked];
  const tried = total(attempts, 'sent');
  const passed = total(attempts, 'answered');
  const figures = { kills: KILLS, held: holds.reduce((sum, hold) => sum + hold.connected, 0), resets, stalls };
  const viaVip = total(loads, 'answered');
  const more = { new_connections: total(made, 'sent'), via_vip: viaVip, failed_new: failedNew };
  const maps = { maps_changed: mapsChanged, ct_seen: connectionsSeen, ct_gone: connectionsGone };
  const changedPins = differences(pins, await settledPins(agent.bpffs));
  report(t, 'F01', { ...figures, ...gaps, ...more, forbidden: tried, passed, ...maps }, [
    ['0 connections reset', resets === 0],
    ['0 stalled for more than a second but where the machine itself did', !isLong || unexplained === 0],
    ['0 failed new connections', failedNew === 0 && viaVip > 0],
    ['0 forbidden probes pass', passed === 0],
    ['3,000 tried in the long form', tried >= size({ short: 50, long: 3_000 })],
    ['maps unchanged by the kill', mapsChanged === 0],
    [
      `every map and link is the one from before (${changedPins.join(', ')})`,
      changedPins.length === 0 && / link \d/.test(pins),
    ],
    ['established connections still in conntrack', connectionsGone === 0 && connectionsSeen >= HELD],
  ]);
  await done();
};
