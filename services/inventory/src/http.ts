// SPDX-License-Identifier: Apache-2.0
/** The REST door: all routes of the service on one HTTP application. */
import { CONFIG_KINDS, PUBLISHER_OF } from '@weir/bus';
import { changeRoutes, createHttp, type HttpApp } from '@weir/http';
import { BgpInstancePutSchema } from './domain/bgp-instances.ts';
import { EgressGatewayPutSchema } from './domain/egress-gateways.ts';
import { L2AnnouncementPutSchema } from './domain/l2-announcements.ts';
import { NetworkPutSchema } from './domain/network.ts';
import { PrefilterPutSchema } from './domain/prefilters.ts';
import type { Operations } from './operations/context.ts';
import { BGP_SCHEMAS, bgpRoutes } from './routes/bgp.ts';
import { HEALTH_SCHEMAS, healthRoutes } from './routes/health.ts';
import { HOST_FIREWALL_SCHEMAS, hostFirewallRoutes } from './routes/host-firewalls.ts';
import { hostRoutes } from './routes/hosts.ts';
import { identityRoutes } from './routes/identities.ts';
import { INPUT_SCHEMAS } from './routes/inputs.ts';
import { L2LeaseSchema, l2LeaseRoutes } from './routes/l2-leases.ts';
import { LB_POOL_SCHEMAS, lbPoolRoutes } from './routes/lb-pools.ts';
import { namespaceRoutes } from './routes/namespaces.ts';
import { NetworkSchema, networkRoutes } from './routes/network.ts';
import {
  BgpInstanceSchema,
  EgressGatewaySchema,
  L2AnnouncementSchema,
  objectRoutes,
  PrefilterSchema,
} from './routes/objects.ts';
import { POOL_SCHEMAS, poolRoutes, reservationRoutes } from './routes/pools.ts';
import { ProbeSchema } from './routes/probes.ts';
import { SERVICE_STAT_SCHEMAS, serviceStatRoutes } from './routes/service-stats.ts';
import { SERVICE_SCHEMAS, serviceRoutes } from './routes/services.ts';
import { HostSchema, IdentitySchema, NamespaceSchema, WorkloadSchema } from './routes/views.ts';
import { workloadRoutes } from './routes/workloads.ts';

/** What the stream of changes tells of. */
export const CHANGE_KINDS = [
  ...CONFIG_KINDS.filter((kind) => PUBLISHER_OF[kind] === 'inventory'),
  ...['namespace', 'pool', 'reservation', 'lbPool'],
];

export const createInventoryHttp = async (
  operations: Operations,
  ready: Readonly<Record<string, () => Promise<void>>>,
): Promise<HttpApp> => {
  const app = await createHttp({
    service: 'inventory',
    docs: { title: 'Weir inventory', description: 'Hosts, workloads, namespaces and identities of the fleet.' },
    schemas: [
      HostSchema,
      WorkloadSchema,
      NamespaceSchema,
      IdentitySchema,
      NetworkSchema,
      NetworkPutSchema,
      EgressGatewaySchema,
      EgressGatewayPutSchema,
      PrefilterSchema,
      PrefilterPutSchema,
      L2AnnouncementSchema,
      L2AnnouncementPutSchema,
      L2LeaseSchema,
      BgpInstanceSchema,
      BgpInstancePutSchema,
      ...BGP_SCHEMAS,
      ...HOST_FIREWALL_SCHEMAS,
      ProbeSchema,
      ...SERVICE_STAT_SCHEMAS,
      ...HEALTH_SCHEMAS,
      ...POOL_SCHEMAS,
      ...SERVICE_SCHEMAS,
      ...LB_POOL_SCHEMAS,
      ...INPUT_SCHEMAS,
    ],
    ready,
  });
  hostRoutes(app, operations);
  workloadRoutes(app, operations);
  namespaceRoutes(app, operations);
  identityRoutes(app, operations);
  networkRoutes(app, operations);
  changeRoutes(app, operations.changes, CHANGE_KINDS);
  objectRoutes(app, operations);
  l2LeaseRoutes(app, operations);
  bgpRoutes(app, operations);
  hostFirewallRoutes(app, operations);
  serviceStatRoutes(app, operations);
  poolRoutes(app, operations);
  reservationRoutes(app, operations);
  healthRoutes(app, operations);
  serviceRoutes(app, operations);
  lbPoolRoutes(app, operations);
  return app;
};
