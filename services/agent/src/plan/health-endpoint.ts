// SPDX-License-Identifier: Apache-2.0
/**
 * The health endpoint of a host as the planner sees it: a workload of the identity `health`, named by the host's document and
 * allowed by the network's. It is connected and judged like any other, so whoever reaches it has tried the path of
 * workloads. Its number and labels are fixed: no document brings them.
 */
import { create } from '@bufbuild/protobuf';
import { weir_identity } from '@weir/bpf';
import type { ConfigEntry } from '@weir/bus';
import { RESERVED_LABELS } from '@weir/policy-engine';
import { Families, type Host, type Network, type Workload, WorkloadSchema } from '@weir/proto/weir/bus/v1/config_pb.js';
import type { Addresses } from './addresses.ts';
import { workloadIssues } from './validate.ts';
import { type Local, localOf } from './wiring.ts';

/** No workload of the fleet can be called so: their ids are namespace.name. */
export const HEALTH_ENDPOINT = 'reserved:health';
export const HEALTH_IDENTITY = weir_identity.IDENTITY_HEALTH;
export const HEALTH_LABELS: readonly string[] = RESERVED_LABELS.get(HEALTH_IDENTITY) ?? [];

/** Undefined: the host has none. `netns`: where its own is. */
export const endpointOf = (
  { id: hostId, healthIp4, healthIp6 }: Host,
  network: Pick<Network, 'health' | 'families'> | undefined,
  netns = '',
): Workload | undefined => {
  const { health, families } = network ?? {};
  if (health && !(health.enabled && (health.endpoints ?? true))) return undefined;
  const endpoint = create(WorkloadSchema, {
    ...{ id: HEALTH_ENDPOINT, hostId, identity: HEALTH_IDENTITY, netns },
    ip4: families === Families.IPV6 ? '' : healthIp4,
    ip6: families === Families.IPV4 ? '' : healthIp6,
  });
  // What is wrong with an address was said where the host's document was read.
  return workloadIssues(endpoint).length > 0 ? undefined : endpoint;
};

export interface HealthEndpointsOptions {
  /** Id of this host. */
  readonly host: string;
  /** Where its own endpoint is; undefined: it has none. */
  readonly netns: string | undefined;
  readonly addresses: Addresses;
  /** This host's own, whenever it comes, changes or goes. */
  readonly onOwn: (own: Local | undefined) => void;
}

/** Follows the documents of hosts and of the network. */
export class HealthEndpoints {
  readonly #options: HealthEndpointsOptions;
  /** By the subject of the host's document. */
  readonly #hosts = new Map<string, { readonly revision: bigint; readonly host: Host }>();
  #network: Network | undefined;

  constructor(options: HealthEndpointsOptions) {
    this.#options = options;
  }

  take({ subject, document: { revision, body } }: ConfigEntry): void {
    if (body.case === 'network') this.#networkIs(body.value);
    if (body.case !== 'host') return;
    this.#hosts.set(subject, { revision, host: body.value });
    this.#place(subject, revision, body.value);
  }

  drop({ subject, document: { body } }: ConfigEntry): void {
    if (body.case === 'network') this.#networkIs(undefined);
    if (body.case !== 'host') return;
    this.#hosts.delete(subject);
    this.#options.addresses.removeWorkload(subject);
    if (body.value.id === this.#options.host) this.#options.onOwn(undefined);
  }

  #networkIs(network: Network | undefined): void {
    this.#network = network;
    for (const [subject, { revision, host }] of this.#hosts) this.#place(subject, revision, host);
  }

  #place(subject: string, revision: bigint, host: Host): void {
    const { host: ownHost, netns, addresses, onOwn } = this.#options;
    const endpoint = endpointOf(host, this.#network, netns);
    if (endpoint) addresses.putWorkload(subject, revision, endpoint);
    else addresses.removeWorkload(subject);
    if (host.id === ownHost) onOwn(endpoint && netns ? localOf(subject, revision, endpoint) : undefined);
  }
}
