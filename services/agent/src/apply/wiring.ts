// SPDX-License-Identifier: Apache-2.0
/**
 * Connects and disconnects workloads.
 *
 *   wire    pair of interfaces, both down -> closed entry in `workloads` -> both programs, pinned -> addresses, routes
 *           -> up. No packet can leave before a program stands in its way, and the program knows a closed workload.
 *   unwire  entry closed -> interface gone -> links forgotten
 *   forget  connections removed -> policy and entry removed (its addresses go with the next apply)
 *
 * An entry that is not READY may belong to a wiring that a kill cut short: it is configured again, which changes
 * nothing where all was done.
 */
import { weir_workload_flags as flag, weir_host_endpoint } from '@weir/bpf';
import type { PolicyTable } from '@weir/bpf/policy-table';
import { HOST_IDENTITY, HOST_WIRING } from '../plan/host-policy.ts';
import type { Bandwidth, Wiring } from '../plan/model.ts';
import type { ReachFailpoint } from './failpoint.ts';
import type { HostLink, Kernel, WorkloadValue } from './ports.ts';

/** A workload that is connected; `value` and `table` are what the kernel holds. */
export interface Wired {
  readonly wiring: Wiring;
  /** Of a cgroup its number. */
  readonly ifindex: number;
  /** Of a cgroup its id. */
  netnsId: string;
  value: WorkloadValue;
  table: PolicyTable | undefined;
  /** What the kernel was last told. */
  bandwidth?: Bandwidth | undefined;
}

export interface WireRequest {
  readonly wiring: Wiring;
  readonly localId: number;
  readonly identity: number;
}

/** Revision of an entry that was never committed. */
const FIRST_REVISION = 0;

const closedValue = ({ wiring, localId, identity }: WireRequest, ifindex: number): WorkloadValue => ({
  ifindex,
  localId,
  identity,
  flags: flag.WORKLOAD_ENFORCE_INGRESS | flag.WORKLOAD_ENFORCE_EGRESS,
  revision: FIRST_REVISION,
  defaultRuleIngress: 0,
  defaultRuleEgress: 0,
  ip4: wiring.ip4,
  ip6: wiring.ip6,
  mac: wiring.mac,
  hostMac: wiring.hostMac,
});

/** The host itself, which nobody connects: an element of `workloads` that lets all pass until it is READY. */
export const hostEndpoint = (value?: WorkloadValue): Wired => {
  const ifindex = weir_host_endpoint.HOST_IFINDEX;
  const request = { wiring: HOST_WIRING, localId: 0, identity: HOST_IDENTITY };
  return {
    ...{ wiring: HOST_WIRING, ifindex, netnsId: '' },
    value: value ?? closedValue(request, ifindex),
    table: undefined,
  };
};

export class Wirer {
  readonly #kernel: Kernel;
  readonly #reach: ReachFailpoint;

  constructor(kernel: Kernel, reach: ReachFailpoint) {
    this.#kernel = kernel;
    this.#reach = reach;
  }

  /** `netnsId`: the namespace that is behind the path now. `hurry`: many others wait. */
  async wire(request: WireRequest, netnsId: string, hurry = false): Promise<Wired> {
    const { maps, network, attachments } = this.#kernel;
    const { wiring } = request;
    const ifindex = await network.create(wiring);
    await this.#reach('wire.created');
    const value = closedValue(request, ifindex);
    await maps.writeWorkloads([value]);
    await this.#reach('wire.closed-entry');
    await attachments.attach(wiring.ifname, ifindex, hurry);
    await this.#reach('wire.attached');
    await network.configure(wiring, ifindex);
    await this.#reach('wire.configured');
    return { wiring, ifindex, netnsId, value, table: undefined };
  }

  /** What an earlier agent wired, and whose programs are in place. Nothing is detached. */
  async adopt(request: WireRequest, link: HostLink, value: WorkloadValue, netnsId: string): Promise<Wired> {
    const { maps, network } = this.#kernel;
    if (!(value.flags & flag.WORKLOAD_READY) || !link.up) await network.configure(request.wiring, link.ifindex);
    return {
      wiring: request.wiring,
      ifindex: link.ifindex,
      netnsId,
      value,
      table: await maps.readPolicy(link.ifindex),
    };
  }

  /** `value` is undefined when there is an interface without an entry. `forget` must follow. */
  async unwire(ifname: string, value: WorkloadValue | undefined): Promise<void> {
    const { maps, network, attachments } = this.#kernel;
    if (value && value.flags & flag.WORKLOAD_READY) {
      await maps.writeWorkloads([{ ...value, flags: value.flags & ~flag.WORKLOAD_READY }]);
    }
    await this.#reach('unwire.closed');
    await network.remove(ifname);
    await this.#reach('unwire.link-removed');
    await attachments.release(ifname);
  }

  /** A workload that is a cgroup; `id`: which one is there now. */
  async wireCgroup(request: WireRequest, number: number, id: string): Promise<Wired> {
    const { maps, cgroups } = this.#kernel;
    const { wiring } = request;
    const value = closedValue(request, number);
    await maps.writeWorkloads([value]);
    await this.#reach('wire.closed-entry');
    await cgroups.attach(number, wiring.cgroup, id);
    await this.#reach('wire.attached');
    return { wiring, ifindex: number, netnsId: id, value, table: undefined };
  }

  /** Its sockets go on unjudged, if it is still there. `forget` must follow. */
  async unwireCgroup(number: number): Promise<void> {
    await this.#kernel.cgroups.release(number);
    await this.#reach('unwire.link-removed');
  }

  /** The maps' side of workloads whose interfaces are gone; all at once, because it walks all of conntrack. */
  async forget(values: readonly WorkloadValue[]): Promise<void> {
    if (values.length === 0) return;
    const { maps } = this.#kernel;
    await maps.removeConnections(new Set(values.map(({ ifindex }) => ifindex)));
    await this.#reach('unwire.connections-removed');
    for (const { ifindex } of values) await maps.removeWorkload(ifindex);
  }
}
