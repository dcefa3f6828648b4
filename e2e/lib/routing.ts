// SPDX-License-Identifier: Apache-2.0
/** How the hosts of a fleet are joined, set through its API while it runs. */
import { callApi } from '@weir/infra/api';
import { type Fleet, until } from '@weir/infra/fleet';
import { inNetns } from '@weir/infra/netns';

const PATIENT_MS = 60_000;

/** Resolves when every host has taken it; hosts that are reached another way than before change over for 6 s more. */
export const setNetwork = async (fleet: Fleet, network: object): Promise<void> => {
  const { revision } = await callApi<{ revision: number }>(`${fleet.control.urls.inventory}/v1/network`, {
    method: 'PUT',
    body: network,
  });
  await fleet.waitReported('inventory', revision, PATIENT_MS);
};

export const setRouting = (fleet: Fleet, routing: 'native' | 'tunnel' | 'hybrid'): Promise<void> =>
  setNetwork(fleet, { routing });

/** No: it goes another way, or nowhere. */
export const isTunnelled = (fleet: Fleet, from: string, address: string): boolean => {
  try {
    return inNetns(fleet.host(from).netns, 'ip', 'route', 'get', address).includes(' dev weir_vxlan ');
  } catch (error) {
    if ((error as Error).message.includes('unreachable')) return false;
    throw error;
  }
};

/** Each pair: a host, and an address of a workload of another. */
export const waitTunnelled = (
  fleet: Fleet,
  pairs: readonly (readonly [from: string, address: string])[],
): Promise<void> =>
  until('hosts to be joined by tunnel', PATIENT_MS, async () =>
    pairs.every(([from, address]) => isTunnelled(fleet, from, address)),
  );
