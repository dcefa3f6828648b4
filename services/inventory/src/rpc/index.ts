// SPDX-License-Identifier: Apache-2.0
/** The gRPC door: the same operations as REST. */
import { changeService, type Registered } from '@weir/rpc';
import { CHANGE_KINDS } from '../http.ts';
import type { Operations } from '../operations/context.ts';
import { bgpService } from './bgp.ts';
import { healthService } from './health.ts';
import { hostFirewallService } from './host-firewalls.ts';
import { hostService } from './hosts.ts';
import { identityService } from './identities.ts';
import { namespaceService } from './namespaces.ts';
import { networkService } from './network.ts';
import { egressGatewayService, l2AnnouncementService, prefilterService } from './objects.ts';
import { poolService } from './pools.ts';
import { loadBalancerService } from './services.ts';
import { workloadService } from './workloads.ts';

export const inventoryRpc = (operations: Operations): Registered[] => [
  hostService(operations),
  namespaceService(operations),
  workloadService(operations),
  identityService(operations),
  networkService(operations),
  egressGatewayService(operations),
  prefilterService(operations),
  l2AnnouncementService(operations),
  bgpService(operations),
  hostFirewallService(operations),
  poolService(operations),
  healthService(operations),
  loadBalancerService(operations),
  changeService(operations.changes, CHANGE_KINDS),
];
