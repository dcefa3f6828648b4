// SPDX-License-Identifier: Apache-2.0
/**
 * Addresses of a service on the link between h1 and h2: a machine there that is not of the fleet asks for them by ARP and NDP and
 * finds one host, through which it reaches the service; when that one's agent is killed it answers on until another host has taken
 * over, which the machine is told. The machine makes new connections all the time, and every one of them is answered.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { callApi } from '@weir/infra/api';
import { until } from '@weir/infra/fleet';
import { inNetns } from '@weir/infra/netns';
import { report } from '../lib/figures.ts';
import { size } from '../lib/size.ts';
import { FAMILIES, PATIENT_MS, type Scene, TCP } from './scene.ts';

const VIP = { ip4: '203.0.113.97', ip6: '2001:db8:97::97' } as const;
const ADDRESSES = Object.values(VIP);
const ON_LINK = ['h1', 'h2'] as const;
type OnLink = (typeof ON_LINK)[number];
const PORT = 8088;
const TICK_MS = 50;
/** At length with the lease of the field. */
const TIMES = size({
  short: { lease_duration_ms: 3_000, renew_deadline_ms: 1_500, retry_period_ms: 500 },
  long: { lease_duration_ms: 15_000, renew_deadline_ms: 5_000, retry_period_ms: 2_000 },
});

interface Lease {
  readonly host: string | null;
  readonly state: string;
  readonly addresses: readonly string[];
}

export const announce = async ({ fleet, outside }: Scene, t: TestContext): Promise<void> => {
  const { inventory } = fleet.control.urls;
  const client = fleet.worldNetns as string;
  const put = (path: string, body: object): Promise<unknown> => callApi(`${inventory}${path}`, { method: 'PUT', body });
  const lease = (): Promise<Lease> => callApi<Lease>(`${inventory}/v1/l2-leases/default.edge`);
  const held = (by: (host: OnLink) => boolean): Promise<OnLink> => {
    let found: Lease | undefined;
    return until(
      'a host to answer',
      30_000,
      async () => {
        found = await lease();
        const host = ON_LINK.find((one) => one === found?.host && by(one));
        return found.state === 'held' && host !== undefined;
      },
      () => JSON.stringify(found),
    ).then(() => found?.host as OnLink);
  };
  const device = /dev (\S+)/.exec(inNetns(client, 'ip', 'route', 'get', fleet.host('h1').ip4))?.[1] as string;
  const macOf = (name: OnLink): string => {
    const { netns, uplink } = fleet.host(name);
    return /link\/ether (\S+)/.exec(inNetns(netns, 'ip', 'link', 'show', uplink))?.[1] as string;
  };
  const macs = new Map(ON_LINK.map((name) => [macOf(name), name]));
  /** Whom the machine believes to have the address. */
  const known = (address: string): OnLink | undefined => {
    const line = inNetns(client, 'ip', 'neigh', 'show', address, 'dev', device);
    return macs.get(/ lladdr (\S+)/.exec(line)?.[1] ?? '');
  };
  const quietly = (...words: string[]): void => {
    try {
      inNetns(client, ...words);
    } catch {
      // Nobody serves a ping; that it was asked for is enough.
    }
  };
  const resolve = (address: string): OnLink | undefined => {
    quietly('ip', 'neigh', 'del', address, 'dev', device);
    quietly('ping', '-c', '1', '-W', '0.2', address);
    return known(address);
  };

  for (const name of ON_LINK)
    await callApi(`${inventory}/v1/hosts/${name}`, { method: 'PATCH', body: { labels: { link: 'front' } } });
  for (const address of ADDRESSES) inNetns(client, 'ip', 'route', 'add', address, 'dev', device);
  await put('/v1/services/default.edge', {
    frontends: ADDRESSES.map((address) => ({ type: 'external-ip', address, port: PORT, port_name: 'http' })),
    targets: [{ port_name: 'http', port: TCP }],
    selector: { match_labels: { app: 'web' } },
  });
  await put('/v1/l2-announcements/edge', {
    ...{ external_ips: true, hosts: { match_labels: { link: 'front' } }, ...TIMES },
  });

  const first = await held(() => true);
  assert.deepEqual((await lease()).addresses, [...ADDRESSES].sort());
  await until('it to answer', 30_000, async () => ADDRESSES.every((address) => resolve(address) === first));

  /** Of the machine, by whatever host it believes to have the address. */
  const reaches = async (): Promise<string[]> =>
    Promise.all(
      ADDRESSES.map(
        async (host) => (await outside.probe({ protocol: 'tcp', host, port: PORT, timeoutMs: PATIENT_MS })).outcome,
      ),
    );
  await until('the service to be reached', 30_000, async () => (await reaches()).every((one) => one === 'answered'));
  const talks = await Promise.all(
    FAMILIES.map((family) =>
      outside.open({ protocol: 'tcp', host: VIP[family], port: PORT, tickMs: TICK_MS, timeoutMs: PATIENT_MS }),
    ),
  );

  const agent = fleet.agents.get(first);
  await agent?.kill();
  const killedMs = performance.now();
  const found = ADDRESSES.map(resolve);
  // Unless so much time has passed that it was lost meanwhile.
  if ((await lease()).host === first) assert.deepEqual(found, [first, first], 'without its agent');
  const second = await held((host) => host !== first);
  await until('the machine to be told', 30_000, async () => ADDRESSES.every((address) => known(address) === second));
  const seconds = ((performance.now() - killedMs) / 1_000).toFixed(1);
  for (const address of ADDRESSES) assert.equal(resolve(address), second, address);
  assert.deepEqual(await reaches(), ['answered', 'answered'], 'through the other host');
  const talked = await Promise.all(talks.map((drive) => drive.stop({ drainMs: PATIENT_MS })));
  const sum = (pick: (one: (typeof talked)[number]) => number): number =>
    talked.reduce((all, one) => all + pick(one), 0);
  const figures = {
    connections: sum(({ sent }) => sent),
    failed: sum(({ refused, lost, unsent }) => refused + lost + unsent),
  };
  report(t, 'failover', { lease_s: TIMES.lease_duration_ms / 1_000, taken_over_after_s: seconds, ...figures }, [
    ['every connection of the machine is answered throughout', figures.failed === 0 && figures.connections > 0],
  ]);
  await agent?.start();

  for (const path of ['/v1/l2-announcements/edge', '/v1/services/default.edge'])
    await callApi(`${inventory}${path}`, { method: 'DELETE' });
  await until('nobody to answer', 30_000, async () => ADDRESSES.every((address) => resolve(address) === undefined));
  for (const address of ADDRESSES) inNetns(client, 'ip', 'route', 'del', address, 'dev', device);
  for (const name of ON_LINK) await callApi(`${inventory}/v1/hosts/${name}`, { method: 'PATCH', body: { labels: {} } });
};
