// SPDX-License-Identifier: Apache-2.0
/** The host itself among what the kernel holds, while it has a policy. */
import { weir_host_endpoint } from '@weir/bpf';
import type { Desired } from '../plan/desired.ts';
import { HOST_ENDPOINT } from '../plan/host-policy.ts';
import type { Maps, WorkloadValue } from './ports.ts';
import { mendValue } from './same.ts';
import { hostEndpoint, type Wired } from './wiring.ts';

const { HOST_IFINDEX } = weir_host_endpoint;

export class HostItself {
  readonly #maps: Maps;
  #wired: Wired | undefined;

  constructor(maps: Maps) {
    this.#maps = maps;
  }

  get wired(): Wired | undefined {
    return this.#wired;
  }

  /** One, or none. */
  get all(): readonly Wired[] {
    return this.#wired ? [this.#wired] : [];
  }

  /** Takes out of `byIfindex` what is the host's own. */
  async load(byIfindex: Map<number, WorkloadValue>): Promise<void> {
    const value = byIfindex.get(HOST_IFINDEX);
    if (!value) return;
    byIfindex.delete(HOST_IFINDEX);
    this.#wired = { ...hostEndpoint(value), table: await this.#maps.readPolicy(HOST_IFINDEX) };
  }

  /** The executor writes the host as it does any workload. */
  among(
    desired: Desired,
    wired: ReadonlyMap<string, Wired>,
  ): { readonly desired: Desired; readonly wired: ReadonlyMap<string, Wired> } {
    const { hostPolicy } = desired;
    if (!hostPolicy) return { desired, wired };
    this.#wired ??= hostEndpoint();
    return {
      desired: { ...desired, workloads: new Map([...desired.workloads, [HOST_ENDPOINT, hostPolicy]]) },
      wired: new Map([...wired, [HOST_ENDPOINT, this.#wired]]),
    };
  }

  /** What is to be forgotten: the host has no policy any more. */
  leave({ hostPolicy }: Desired): readonly WorkloadValue[] {
    if (hostPolicy || !this.#wired) return [];
    const { value } = this.#wired;
    this.#wired = undefined;
    return [value];
  }

  /** Puts its element back if somebody changed it; says so. */
  async inspect(values: ReadonlyMap<number, WorkloadValue>): Promise<string[]> {
    return this.#wired ? mendValue(this.#maps, 'the host', this.#wired, values) : [];
  }
}
