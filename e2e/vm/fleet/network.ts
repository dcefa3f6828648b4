// SPDX-License-Identifier: Apache-2.0
/** How the hosts are joined, through the public API. */
import { callApi } from '@weir/infra/api';
import type { Fleet } from '@weir/infra/fleet';
import { PATIENT_MS } from './scene.ts';

/** What is left out is as by default. Resolves when every host holds it; what it does on the way may take longer. */
export const setNetwork = async (fleet: Fleet, network: Readonly<Record<string, unknown>>): Promise<void> => {
  const url = `${fleet.control.urls.inventory}/v1/network`;
  const { revision } = await callApi<{ revision: number }>(url, { method: 'PUT', body: network });
  await fleet.waitReported('inventory', revision, PATIENT_MS);
};
