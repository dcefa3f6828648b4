// SPDX-License-Identifier: Apache-2.0
/**
 * NET-04: hosts join and leave in a loop while connections between the others live. A host that joins has a workload,
 * so addresses, routes and tunnels of it come and go too.
 */
import type { TestContext } from 'node:test';
import { callApi } from '@weir/infra/api';
import { type Fleet, until, type Workload } from '@weir/infra/fleet';
import { inNetns } from '@weir/infra/netns';
import { report } from '../../lib/figures.ts';
import { setRouting } from '../../lib/routing.ts';
import { isLong, size } from '../../lib/size.ts';

const CONNECTIONS = size({ short: 40, long: 2_000 });
const ROUNDS = size({ short: 4, long: 100 });
const AT_ONCE = 3;
const TICK_MS = size({ short: 50, long: 1_000 });
const STALL_MS = 5_000;
const PORT = 80;

/** Registered and gone again, in the middle of all others hearing of it. */
const joinAndLeave = async (fleet: Fleet, round: number, whileThere: () => void): Promise<void> => {
  const { inventory } = fleet.control.urls;
  const { n } = fleet.underlay;
  const names = Array.from({ length: AT_ONCE }, (_, i) => `guest-${round}-${i}`);
  let revision = 0;
  await Promise.all(
    names.map(async (name, i) => {
      await callApi(`${inventory}/v1/hosts`, {
        body: { name, underlay_ip4: `198.18.${n}.${100 + i}`, underlay_ip6: `fd18:${n}::${100 + i}` },
      });
      const workload = await callApi<{ revision: number }>(`${inventory}/v1/workloads`, {
        body: { name, host: name, namespace: 'guests', labels: { app: 'guest' } },
      });
      revision = Math.max(revision, workload.revision);
    }),
  );
  await fleet.waitReported('inventory', revision, 60_000);
  whileThere();
  for (const name of names) {
    await callApi(`${inventory}/v1/workloads/guests.${name}`, { method: 'DELETE' });
    await callApi(`${inventory}/v1/hosts/${name}`, { method: 'DELETE' });
  }
};

export const joinsAndLeaves = async (t: TestContext, fleet: Fleet): Promise<void> => {
  const namespace = 'joins';
  const [caller, callee] = (await fleet.addWorkloads([
    { name: 'caller', namespace, host: 'h1', labels: { app: 'caller' } },
    { name: 'callee', namespace, host: 'h2', labels: { app: 'callee' }, tcp: [PORT] },
  ])) as [Workload, Workload];
  const common = { port: PORT, connections: CONNECTIONS / 2, tickMs: TICK_MS, stallMs: STALL_MS };
  const held = await Promise.all([callee.ip4, callee.ip6].map((host) => caller.hold({ ...common, host })));
  const routes = () => inNetns(fleet.host('h1').netns, 'ip', 'route', 'show', 'proto', '87').split('\n').length;
  const before = routes();
  let most = 0;
  for (const routing of ['native', 'tunnel'] as const) {
    await setRouting(fleet, routing);
    for (let round = 0; round < ROUNDS / 2; round++) {
      await joinAndLeave(fleet, round, () => {
        most = Math.max(most, routes());
      });
    }
  }
  await setRouting(fleet, 'native');
  await until(
    'their routes to be gone',
    30_000,
    async () => routes() === before,
    () => `${routes()} for ${before}`,
  );
  const reports = await Promise.all(held.map((drive) => drive.stop({ drainMs: 2_000 })));
  const sum = (field: 'connected' | 'resets' | 'lost' | 'stalls' | 'answered'): number =>
    reports.reduce((total, one) => total + one[field], 0);
  report(
    t,
    'NET04',
    {
      connections: sum('connected'),
      hosts_joined: ROUNDS * AT_ONCE,
      modes: 'native+tunnel',
      resets: sum('resets'),
      unanswered: sum('lost'),
      stalls: sum('stalls'),
      longest_gap_ms: Math.round(Math.max(...reports.map(({ longestGapMs }) => longestGapMs))),
    },
    [
      ['0 connections broken', sum('resets') === 0 && sum('connected') === CONNECTIONS],
      ['every question is answered', sum('lost') === 0 && sum('answered') > 0],
      ['0 stalls of 5 s', !isLong || sum('stalls') === 0],
      ['routes came and went', most > before],
    ],
  );
  await Promise.all([fleet.removeWorkload(caller.id), fleet.removeWorkload(callee.id)]);
};
