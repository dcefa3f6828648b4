// SPDX-License-Identifier: Apache-2.0
/** WireGuard asked for through the API: keys find their way from host to host by themselves, and flows say what was encrypted. */
import assert from 'node:assert/strict';
import { callApi } from '@weir/infra/api';
import { type Fleet, until } from '@weir/infra/fleet';
import { setNetwork } from '../../lib/routing.ts';
import { linkNames, receivedBy } from './filters.ts';
import { applyPolicy, PATIENT_MS, type Scene } from './scene.ts';
import { judged } from './tunnel.ts';

const DEVICE = 'weir_wg0';

const keysOf = async (fleet: Fleet): Promise<(string | null)[]> => {
  const url = `${fleet.control.urls.inventory}/v1/hosts?limit=1000`;
  const { items } = await callApi<{ items: { wireguard_key: string | null }[] }>(url);
  return items.map(({ wireguard_key: key }) => key);
};

/** Leaves the fleet as it was. */
export const encrypted = async (scene: Scene): Promise<void> => {
  const { fleet, web, client } = scene;
  const hosts = [web.spec.host, client.spec.host].map((name) => fleet.host(name).netns);
  await applyPolicy(scene);
  await setNetwork(fleet, { wireguard: { enabled: true } });
  await until('every key to be known', PATIENT_MS, async () =>
    (await keysOf(fleet)).every((key) => key?.length === 44),
  );
  const keys = await keysOf(fleet);
  assert.equal(new Set(keys).size, hosts.length);

  const stats = (): number[] => hosts.map((netns) => receivedBy(netns, DEVICE));
  const isEncrypted = async (): Promise<boolean> => {
    const before = stats();
    assert.equal((await client.probe({ protocol: 'tcp', host: web.ip4, port: 80, timeoutMs: PATIENT_MS })).ok, true);
    // a handshake, the words, the end
    return stats().every((packets, i) => packets - (before[i] ?? 0) >= 4);
  };
  await until('what goes between the hosts to go encrypted', PATIENT_MS, isEncrypted);
  assert.deepEqual(await judged(scene), [], 'who may and who may not');

  const flows = `${fleet.control.urls.analytics}/v1/flows?to_ip=${web.ip4}&to_port=80&is_reply=false&limit=1000`;
  await until('flows of both hosts that say so', PATIENT_MS, async () => {
    const { items } = await callApi<{ items: { host: string; encrypted: boolean }[] }>(flows);
    return new Set(items.filter((flow) => flow.encrypted).map(({ host }) => host)).size === 2;
  });

  await setNetwork(fleet, {});
  await until('the device to be gone', PATIENT_MS, async () =>
    hosts.every((netns) => !linkNames(netns).includes(DEVICE)),
  );
  await until('no key to be known', PATIENT_MS, async () => (await keysOf(fleet)).every((key) => key === null));
  assert.deepEqual(await judged(scene), [], 'in the clear again');
};
