// SPDX-License-Identifier: Apache-2.0
/** Policies through the public API, and what it says about each host. */
import { callApi } from '@weir/infra/api';
import type { Fleet } from '@weir/infra/fleet';

export const putPolicy = async (fleet: Fleet, policy: object): Promise<number> =>
  (await callApi<{ revision: number }>(`${fleet.control.urls.policy}/v1/policies`, { body: policy })).revision;

/** Resolves when every host has it in its kernel. */
export const applyPolicy = async (fleet: Fleet, policy: object, patienceMs = 60_000): Promise<void> =>
  fleet.waitRealised(await putPolicy(fleet, policy), patienceMs);

export interface HostState {
  readonly host: string;
  readonly state: string;
  readonly error: string | null;
}

/** Waits in the service until no host that is alive is pending, `waitS` at most. */
export const hostStates = async (fleet: Fleet, revision: number, waitS: number): Promise<readonly HostState[]> =>
  (await callApi<{ hosts: HostState[] }>(`${fleet.control.urls.policy}/v1/revisions/${revision}?wait_s=${waitS}`))
    .hosts;
