// SPDX-License-Identifier: Apache-2.0
/**
 * NET-04: hosts join and leave in a loop while connections between the others live, in each routing mode. A host that joins has
 * a workload, so addresses, routes and tunnels of it come and go too; one of those that join at a time is behind a router, where
 * hybrid mode goes by tunnel. So is one end of half the connections, when the fleet has such a host.
 */
import type { TestContext } from 'node:test';
import { callApi } from '@weir/infra/api';
import { type Fleet, until, type Workload } from '@weir/infra/fleet';
import { inNetns } from '@weir/infra/netns';
import { report } from '../../lib/figures.ts';
import { isTunnelled, setRouting } from '../../lib/routing.ts';
import { isLong, size } from '../../lib/size.ts';

const CONNECTIONS = size({ short: 40, long: 2_000 });
/** In each mode. */
const ROUNDS = size({ short: 2, long: 34 });
const AT_ONCE = 3;
const TICK_MS = size({ short: 50, long: 1_000 });
const STALL_MS = 5_000;
const PORT = 80;
const MODES = ['native', 'tunnel', 'hybrid'] as const;
type Mode = (typeof MODES)[number];

/** Whether a host on h1's subnet is reached by tunnel, and one that is not. */
const TUNNELLED: Readonly<Record<Mode, { readonly near: boolean; readonly far: boolean }>> = {
  native: { near: false, far: false },
  tunnel: { near: true, far: true },
  hybrid: { near: false, far: true },
};

interface Guest {
  readonly place: 'near' | 'far';
  readonly ip4: string;
  readonly ip6: string;
}

/** Registered and gone again, in the middle of all others hearing of it. */
const joinAndLeave = async (
  fleet: Fleet,
  round: string,
  whileThere: (guests: readonly Guest[]) => void,
): Promise<void> => {
  const { inventory } = fleet.control.urls;
  const { n } = fleet.underlay;
  const names = Array.from({ length: AT_ONCE }, (_, i) => `guest-${round}-${i}`);
  let revision = 0;
  const guests = await Promise.all(
    names.map(async (name, i): Promise<Guest> => {
      const place = i === 0 ? 'far' : 'near';
      const net = place === 'far' ? 19 : 18;
      await callApi(`${inventory}/v1/hosts`, {
        body: { name, underlay_ip4: `198.${net}.${n}.${100 + i}`, underlay_ip6: `fd${net}:${n}::${100 + i}` },
      });
      const workload = await callApi<{ revision: number; ip4: string; ip6: string }>(`${inventory}/v1/workloads`, {
        body: { name, host: name, namespace: 'guests', labels: { app: 'guest' } },
      });
      revision = Math.max(revision, workload.revision);
      return { place, ip4: workload.ip4, ip6: workload.ip6 };
    }),
  );
  await fleet.waitReported('inventory', revision, 60_000);
  whileThere(guests);
  for (const name of names) {
    await callApi(`${inventory}/v1/workloads/guests.${name}`, { method: 'DELETE' });
    await callApi(`${inventory}/v1/hosts/${name}`, { method: 'DELETE' });
  }
};

export const joinsAndLeaves = async (t: TestContext, fleet: Fleet): Promise<void> => {
  const namespace = 'joins';
  const { routedHosts: [farHost] = [] } = fleet.options;
  const [caller, ...callees] = (await fleet.addWorkloads([
    { name: 'caller', namespace, host: 'h1', labels: { app: 'caller' } },
    ...['h2', ...(farHost ? [farHost] : [])].map((host) => ({
      ...{ name: `callee-${host}`, namespace, host, labels: { app: 'callee' }, tcp: [PORT] },
    })),
  ])) as [Workload, ...Workload[]];
  const ends = callees.flatMap(({ ip4, ip6 }) => [ip4, ip6]);
  const common = { port: PORT, connections: CONNECTIONS / ends.length, tickMs: TICK_MS, stallMs: STALL_MS };
  const held = await Promise.all(ends.map((host) => caller.hold({ ...common, host })));
  const routes = () => inNetns(fleet.host('h1').netns, 'ip', 'route', 'show', 'proto', '87').split('\n').length;
  const before = routes();
  let most = 0;
  /** Guests that h1 would have reached another way than the mode says. */
  const astray: string[] = [];
  for (const routing of MODES) {
    const wanted = TUNNELLED[routing];
    const goes = (place: Guest['place'], address: string): boolean =>
      isTunnelled(fleet, 'h1', address) === wanted[place];
    await setRouting(fleet, routing);
    for (let round = 0; round < ROUNDS; round++) {
      await joinAndLeave(fleet, `${routing}-${round}`, (guests) => {
        most = Math.max(most, routes());
        for (const { place, ip4, ip6 } of guests)
          for (const address of [ip4, ip6]) if (!goes(place, address)) astray.push(`${routing} ${place} ${address}`);
      });
    }
    await until(`the ends of connections to be reached as ${routing} says`, 60_000, async () =>
      callees.every(({ spec, ip4, ip6 }) =>
        [ip4, ip6].every((address) => goes(spec.host === farHost ? 'far' : 'near', address)),
      ),
    );
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
      hosts_joined: MODES.length * ROUNDS * AT_ONCE,
      modes: MODES.join('+'),
      astray: astray.length === 0 ? 0 : astray.join('; '),
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
      ['hosts that join are reached as the mode says', astray.length === 0],
    ],
  );
  await Promise.all([caller, ...callees].map(({ id }) => fleet.removeWorkload(id)));
};
