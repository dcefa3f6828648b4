// SPDX-License-Identifier: Apache-2.0
/**
 * Workloads of a selection leave by an egress gateway, set through the API, and by the next one when that is cut off. Who
 * is not selected keeps his own address.
 */
import assert from 'node:assert/strict';
import { callApi } from '@weir/infra/api';
import { until } from '@weir/infra/fleet';
import { ip } from '@weir/infra/resources';
import { allAnswered, asHeard } from './masquerade.ts';
import { REFUSED_MS, type Scene, TCP } from './scene.ts';
import { Witness } from './witness.ts';

const GATEWAYS = ['h2', 'h3'];

export const egress = async (scene: Scene): Promise<void> => {
  const { fleet, outside, web, shop, db } = scene;
  const { inventory } = fleet.control.urls;
  const url = `${inventory}/v1/egress-gateways/out`;
  const witness = new Witness(fleet.worldNetns as string, outside as { ip4: string; ip6: string });
  const addressesOf = (name: string): string[] => [fleet.host(name).ip4, fleet.host(name).ip6];

  for (const name of GATEWAYS)
    await callApi(`${inventory}/v1/hosts/${name}`, { method: 'PATCH', body: { labels: { egress: 'yes' } } });
  const { revision } = await callApi<{ revision: number }>(url, {
    method: 'PUT',
    body: {
      workloads: [{ match_labels: { app: 'web' } }],
      destination_cidrs: ['0.0.0.0/0', '::/0'],
      gateways: [{ hosts: { match_labels: { egress: 'yes' } }, interface: 'uplink0' }],
    },
  });
  await fleet.waitReported('inventory', revision, 60_000);
  /** The world hears both of them, and from nobody but `sources`. */
  const settles = (what: string, sources: readonly string[]): Promise<void> =>
    until(
      what,
      60_000,
      async () => {
        witness.forget();
        const request = { protocol: 'tcp', host: outside.ip4 as string, port: TCP, timeoutMs: REFUSED_MS } as const;
        const answers = await Promise.all([web, shop].map((one) => one.probe(request)));
        const wanted = sources.map((address) => `tcp ${address}`).sort();
        return answers.every(({ ok }) => ok) && witness.heard().join() === wanted.join();
      },
      () => witness.heard().join(),
    );
  const leavesBy = (name: string): Promise<void> =>
    settles(`new connections to leave by ${name}`, [fleet.host(name).ip4]);

  await leavesBy('h2');
  witness.forget();
  await allAnswered(scene, [web, shop, db]);
  assert.deepEqual(witness.heard(), asHeard([...addressesOf('h2'), db.ip4, db.ip6]), 'by h2');

  const port = (state: string) => ip('-n', fleet.underlay.bridgeNetns, 'link', 'set', 'h2', state);
  port('down');
  try {
    await leavesBy('h3');
    witness.forget();
    await allAnswered(scene, [web, shop]);
    assert.deepEqual(witness.heard(), asHeard(addressesOf('h3')), 'by h3');
  } finally {
    port('up');
  }
  await leavesBy('h2');

  await callApi(url, { method: 'DELETE' });
  await settles('workloads to have their own addresses', [web.ip4, shop.ip4]);
  witness.forget();
  await allAnswered(scene, [web, shop]);
  assert.deepEqual(witness.heard(), asHeard([web.ip4, web.ip6, shop.ip4, shop.ip6]), 'without a document');
};
