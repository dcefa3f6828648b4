// SPDX-License-Identifier: Apache-2.0
/**
 * Addresses at which no document may put a service, whoever signed it: what one link, host or network namespace has for itself,
 * and where the control plane is. Inventory refuses them too; a host does not depend on that. Hosts' own addresses, which come
 * and go with documents, are looked at by the planner.
 */
import { weir_service_flags as FLAG } from '@weir/bpf';
import { canonicalIp, cidrContainsIp, isIp, parseCidr, parseIp } from '@weir/net';
import type { LoadBalancerService } from '@weir/proto/weir/bus/v1/config_pb.js';
import type { PlannedFrontend } from './service-view.ts';

const UNSERVABLE = [
  ...['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3'],
  ...['::/96', 'fe80::/10', 'ff00::/8'],
].map((text) => parseCidr(text));

/** `control`: canonical. Empty when all is well. */
export const hijackIssues = ({ frontends }: LoadBalancerService, control: ReadonlySet<string>): string[] =>
  frontends.flatMap(({ address }, i) => {
    if (!isIp(address)) return [];
    const range = UNSERVABLE.find((cidr) => cidrContainsIp(cidr, parseIp(address)));
    if (range) return [`frontends[${i}].address "${address}" lies in ${range.text}, which is no service's`];
    return control.has(canonicalIp(address))
      ? [`frontends[${i}].address "${address}" is an address of the control plane`]
      : [];
  });

/** At a host's address there are node ports and host ports, and nothing that takes what is meant for the host. */
export const takesHost = ({ key, value }: PlannedFrontend, hosts: ReadonlySet<string>): boolean =>
  hosts.has(key.address) && (value.flags & (FLAG.SERVICE_NODE_PORT | FLAG.SERVICE_HOST_PORT)) === 0;

/** Of servers of the bus; names are not resolved: who has them may change. */
export const addressesOfServers = (natsUrl: string): ReadonlySet<string> =>
  new Set(
    natsUrl
      .split(',')
      .map((server) => server.trim())
      .map((server) => new URL(server.includes('://') ? server : `nats://${server}`).hostname.replace(/^\[|\]$/g, ''))
      .filter(isIp)
      .map(canonicalIp),
  );
