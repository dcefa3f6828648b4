// SPDX-License-Identifier: Apache-2.0
/**
 * F09, where sockets are balanced: backends come, end and go all the time under live connections, the agent is killed
 * meanwhile, and at last the backend that has the live connections is to end too. Every backend that is ever chosen is
 * real, and each ends before it goes, so no connection need break.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { callApi } from '@weir/infra/api';
import type { Workload } from '@weir/infra/fleet';
import { report } from '../../lib/figures.ts';
import { serviceMaps } from '../../lib/pinned.ts';
import { isLong, size } from '../../lib/size.ts';
import type { Scene } from './scene.ts';

const VIP = { ip4: '203.0.113.90', ip6: '2001:db8:90::90' } as const;
const FAMILIES = ['ip4', 'ip6'] as const;
const PORT = 80;
/** On each bystander, each a backend in both families. */
const SERVED = size({ short: [8001], long: [8001, 8002, 8003, 8004, 8005] });
const HELD = size({ short: 40, long: 2_000 });
const TICK_MS = size({ short: 20, long: 1_000 });
const STALL_MS = 5_000;
const ROUNDS = size({ short: 5, long: 200 });
/** 100 backends change in each round: 10,000 in a minute. */
const APART_MS = size({ short: 150, long: 600 });
const KILLS = size({ short: 1, long: 6 });
const KILL_EVERY = Math.ceil(ROUNDS / (KILLS + 1));
const PATIENT_MS = 10_000;

type Backend = { readonly address: string; readonly port: number; readonly state?: 'terminating' };

/** In turn each is active, to end, and gone; a third of them at a time. */
const backendsOf = (others: readonly Workload[], round: number): Backend[] =>
  others.flatMap((one, at) =>
    SERVED.flatMap((port, i) => {
      const phase = (round + at + i) % 3;
      if (phase === 2) return [];
      const state = phase === 1 ? ({ state: 'terminating' } as const) : {};
      return FAMILIES.map((family) => ({ address: one[family], port, ...state }));
    }),
  );

export const churned = async (t: TestContext, scene: Scene): Promise<void> => {
  const { fleet, agent, server, friend, neighbour, bystanders } = scene;
  const url = `${fleet.control.urls.inventory}/v1/services/default.churn`;
  const frontends = FAMILIES.map((family) => ({ type: 'external-ip', address: VIP[family], port: PORT }));
  /** `kills` changes the document and nothing that the kernel has. */
  let kills = 0;
  const put = async (others: readonly Backend[], isEnding: boolean): Promise<number> => {
    const own = FAMILIES.map((family) => ({
      ...{ address: server[family], port: PORT },
      ...(isEnding ? { state: 'terminating' } : {}),
    }));
    const body = { frontends, backends: [...own, ...others], labels: { kills: String(kills) } };
    return (await callApi<{ revision: number }>(url, { method: 'PUT', body })).revision;
  };
  const realised = (revision: number) => fleet.waitReported('inventory', revision, 60_000);

  for (const one of bystanders) await one.listen({ tcp: SERVED });
  await realised(await put([], false));
  const hold = { port: PORT, connections: HELD / 2, tickMs: TICK_MS, stallMs: STALL_MS };
  const held = await Promise.all([friend.hold({ ...hold, host: VIP.ip4 }), neighbour.hold({ ...hold, host: VIP.ip6 })]);
  const open = { protocol: 'tcp', port: PORT, tickMs: 20, timeoutMs: PATIENT_MS } as const;
  const opened = await Promise.all([
    friend.open({ ...open, host: VIP.ip6 }),
    neighbour.open({ ...open, host: VIP.ip4 }),
  ]);

  let changes = 0;
  let mapsChanged = 0;
  let slowestMs = 0;
  let killsMs = 0;
  const startedMs = performance.now();
  for (let round = 0; round < ROUNDS; round++) {
    const dueMs = performance.now() + APART_MS;
    // From here on the server takes nobody new, and keeps whom it has.
    const putMs = performance.now();
    const revision = await put(backendsOf(bystanders, round), round >= ROUNDS / 2);
    // Else two changes may come as one, and who has just connected to a backend would never see it end before it goes.
    await realised(revision);
    slowestMs = Math.max(slowestMs, performance.now() - putMs);
    changes += bystanders.length * SERVED.length * FAMILIES.length;
    if ((round + 1) % KILL_EVERY === 0 && round + 1 < ROUNDS) {
      const killMs = performance.now();
      const before = await serviceMaps(agent.bpffs);
      await agent.kill();
      kills++;
      const meanwhile = await put(backendsOf(bystanders, round), round >= ROUNDS / 2);
      await agent.start();
      await realised(meanwhile);
      if (!isDeepStrictEqual(await serviceMaps(agent.bpffs), before)) mapsChanged++;
      killsMs += performance.now() - killMs;
    }
    await sleep(Math.max(0, dueMs - performance.now()));
  }
  const minutes = (performance.now() - startedMs - killsMs) / 60_000;
  const loads = await Promise.all(opened.map((drive) => drive.stop({ drainMs: PATIENT_MS })));
  const holds = await Promise.all(held.map((drive) => drive.stop()));
  const sum = (pick: (one: (typeof holds)[number]) => number, of = holds): number =>
    of.reduce((all, one) => all + pick(one), 0);

  // Nobody but the server is left, and it ends: better than nobody.
  await realised(await put([], true));
  assert.equal((await friend.probe({ protocol: 'tcp', host: VIP.ip4, port: PORT, timeoutMs: PATIENT_MS })).ok, true);
  await callApi(url, { method: 'DELETE' });

  const [connected, resets, stalls] = [sum((one) => one.connected), sum((one) => one.resets), sum((one) => one.stalls)];
  const failedNew = sum(({ refused, lost }) => refused + lost, loads);
  const figures = { changes, per_minute: Math.round(changes / minutes), kills, held: connected, resets, stalls };
  const gaps = { longest_gap_ms: Math.max(...holds.map(({ longestGapMs }) => longestGapMs)) };
  const more = { new_connections: sum(({ sent }) => sent, loads), failed_new: failedNew, maps_changed: mapsChanged };
  report(t, 'F09', { ...figures, ...gaps, ...more, slowest_change_ms: Math.round(slowestMs) }, [
    ['every connection that was to be held came about', connected === HELD],
    ['0 live connections broken', resets === 0],
    ['0 stalled', !isLong || stalls === 0],
    ['0 failed new connections', failedNew === 0 && more.new_connections > 0],
    ['a killed agent changes no choice', mapsChanged === 0 && kills >= KILLS],
    ['10,000 changes a minute in the long form', !isLong || figures.per_minute >= 9_000],
  ]);
};
