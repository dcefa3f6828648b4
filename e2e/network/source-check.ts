// SPDX-License-Identifier: Apache-2.0
/** Whose addresses a workload may send from: its own, until it is allowed more through the API, and after that no more. */
import assert from 'node:assert/strict';
import { callApi } from '@weir/infra/api';
import { until } from '@weir/infra/fleet';
import { inNetns } from '@weir/infra/netns';
import { flowsSince } from '../matrix/flows.ts';
import type { Scene } from './scene.ts';
import { Witness } from './witness.ts';

const OTHER = '192.0.2.55';
const INVALID_SOURCE_IP = 132;

export const sourceCheck = async ({ fleet, outside, web }: Scene): Promise<void> => {
  const witness = new Witness(fleet.worldNetns as string, outside as { ip4: string; ip6: string });
  const check = async (isOn: boolean): Promise<void> => {
    const body = { source_check: isOn };
    await callApi(`${fleet.control.urls.inventory}/v1/workloads/${web.id}`, { method: 'PATCH', body });
    await fleet.waitWorkloadReady(web.id, 30_000);
  };
  /** Nobody answers to that address. */
  const send = (): string => inNetns(web.netns, 'sh', '-c', `ping -n -c 1 -W 1 -I ${OTHER} ${outside.ip4} || true`);
  const refusals = async (since: number): Promise<number> =>
    (await flowsSince(fleet.control.urls.analytics, since)).filter(
      ({ source, drop_reason }) => source.ip === OTHER && drop_reason?.code === INVALID_SOURCE_IP,
    ).length;
  const pinged = (): string[] => witness.heard().filter((one) => one.startsWith('icmp '));
  const refused = async (when: string): Promise<void> => {
    witness.forget();
    const since = Date.now();
    await until(`${when}: a refusal in the flows`, 30_000, async () => {
      send();
      return (await refusals(since)) > 0;
    });
    // what is sent here is ICMP; connections made before may still say goodbye
    assert.deepEqual(pinged(), [], when);
  };
  inNetns(web.netns, 'ip', 'addr', 'add', `${OTHER}/32`, 'dev', 'eth0');
  await refused('as made');
  await check(false);
  await until('the world to hear the other address', 30_000, async () => {
    send();
    return witness.heard().includes(`icmp ${OTHER}`);
  });
  await check(true);
  await until('the check to be on again', 30_000, async () => {
    witness.forget();
    send();
    return pinged().length === 0;
  });
  await refused('again');
  inNetns(web.netns, 'ip', 'addr', 'del', `${OTHER}/32`, 'dev', 'eth0');
};
