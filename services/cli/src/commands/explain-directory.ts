// SPDX-License-Identifier: Apache-2.0
/** Hosts and services that rules may name (fromNodes, toNodes, toServices), asked for only when a policy does. */
import { type CidrGroup, directoryGroup, type PolicyDocument, refersToDirectory } from '@weir/policy-engine';
import type { Context } from '../context.ts';

interface HostItem {
  readonly id: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly underlay_ip4: string | null;
  readonly underlay_ip6: string | null;
}

interface ServiceItem {
  readonly namespace: string;
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>> | null;
  readonly backends: readonly { readonly address: string }[];
}

export const directoryFor = async (
  context: Context,
  policies: readonly { readonly doc: PolicyDocument }[],
): Promise<readonly CidrGroup[]> => {
  if (!policies.some(({ doc }) => refersToDirectory(doc))) return [];
  const hosts = await context.client.list<HostItem>('inventory', '/v1/hosts');
  const services = await context.client.list<ServiceItem>('inventory', '/v1/services');
  return [
    ...hosts.map(({ id, labels = {}, underlay_ip4: ip4, underlay_ip6: ip6 }) =>
      directoryGroup({ case: 'host', value: { id, labels, underlayIp4: ip4 ?? '', underlayIp6: ip6 ?? '' } }),
    ),
    ...services.map(({ namespace, name, labels, backends }) =>
      directoryGroup({ case: 'service', value: { namespace, name, labels: labels ?? {}, backends } }),
    ),
  ];
};
