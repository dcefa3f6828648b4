// SPDX-License-Identifier: Apache-2.0
/** Every gRPC method, as rest-table.ts has every REST operation. Mistakes are told with the same codes as there. */

import type { DescService } from '@bufbuild/protobuf';
import type { ErrorCode } from '@weir/errors';
import {
  AccountingService,
  FlowService,
  ProcessService,
  RuleHitService,
} from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { ChangeService } from '@weir/proto/weir/changes/v1/changes_pb.js';
import { HostFirewallService } from '@weir/proto/weir/inventory/v1/host_firewall_pb.js';
import {
  BgpService,
  EgressGatewayService,
  HealthService,
  HostService,
  IdentityService,
  L2AnnouncementService,
  LoadBalancerService,
  NamespaceService,
  NetworkService,
  PoolService,
  PrefilterService,
  WorkloadService,
} from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import {
  PolicyService,
  RevisionService,
  RuleService,
  SimulationService,
} from '@weir/proto/weir/policy/v1/policy_pb.js';
import { RuntimePolicyService } from '@weir/proto/weir/policy/v1/runtime_pb.js';
import { service } from './before.ts';
import { POLICY_GRPC } from './grpc-policies.ts';
import { TRAFFIC } from './grpc-traffic.ts';
import { BAD_LIMIT, invalid, missing, OTHER, pages } from './mistakes.ts';
import { RUNTIME_GRPC } from './runtime.ts';

/** The third: its name in the table below, where several services have one of the same name. */
export const SERVICES: readonly (readonly ['inventory' | 'policy' | 'analytics', DescService, string?])[] = [
  ['inventory', HostService],
  ['inventory', NamespaceService],
  ['inventory', WorkloadService],
  ['inventory', IdentityService],
  ['inventory', NetworkService],
  ['inventory', EgressGatewayService],
  ['inventory', PrefilterService],
  ['inventory', PoolService],
  ['inventory', HealthService],
  ['inventory', LoadBalancerService],
  ['inventory', L2AnnouncementService],
  ['inventory', BgpService],
  ['inventory', HostFirewallService],
  ['inventory', ChangeService, 'inventory ChangeService'],
  ['policy', PolicyService],
  ['policy', RuleService],
  ['policy', RevisionService],
  ['policy', SimulationService],
  ['policy', RuntimePolicyService],
  ['policy', ChangeService, 'policy ChangeService'],
  ['analytics', FlowService],
  ['analytics', ProcessService],
  ['analytics', AccountingService],
  ['analytics', RuleHitService],
];

export interface GrpcOperation {
  readonly good: object;
  /** A mistake and how it is told; a request without any field can't be wrong. */
  readonly bad?: object;
  readonly code?: ErrorCode;
  readonly field?: string;
  /** With if_revision of another revision, or if_absent: PRECONDITION_FAILED. */
  readonly stale?: readonly object[];
  /** Done once for an idempotency-key: another request, which the same key refuses. */
  readonly once?: { readonly other: object };
  /** Names of the fields of a page. */
  readonly paged?: { readonly items: string; readonly size: string; readonly cursor: string; readonly next: string };
  readonly stream?: true;
}

const workload = (name: string) => ({ name, namespace: 'shop', host: 'c1', labels: { app: name } });
const BGP = {
  name: 'n1',
  localAsn: 65_001,
  hosts: { matchLabels: { rack: 'none' } },
  peers: [{ name: 'tor', address: '198.51.100.2', asn: 65_000 }],
};
const gateway = (name: string, device: string) => ({
  ...{ name, workloads: [{}], destinationCidrs: ['0.0.0.0/0'] },
  gateways: [{ hosts: {}, interface: device }],
});

export const GRPC: Readonly<Record<string, GrpcOperation>> = {
  'inventory ChangeService.StreamChanges': {
    good: { kinds: ['host', 'workload'], afterId: '1.0' },
    bad: { kinds: ['host', 'colour'] },
    ...invalid,
    field: 'kinds[1]',
    stream: true,
  },
  'policy ChangeService.StreamChanges': {
    good: { afterId: '1.0' },
    bad: { afterId: 'nonsense' },
    ...invalid,
    field: 'Last-Event-ID',
    stream: true,
  },
  'HostService.CreateHost': {
    good: { name: 'new-grpc' },
    bad: { name: 'New' },
    ...invalid,
    field: 'name',
    once: { other: { name: 'new-other' } },
  },
  'HostService.GetHost': { good: { id: 'c1' }, bad: { id: 'none' }, ...missing },
  'HostService.ListHosts': { good: {}, ...BAD_LIMIT, paged: pages('hosts') },
  'HostService.UpdateHost': {
    good: { id: 'c1', labels: { labels: { rack: 'r2' } } },
    bad: { id: 'c1', underlayIp4: 'x' },
    ...invalid,
    field: 'underlay_ip4',
    stale: [{ id: 'c1', ifRevision: OTHER }],
  },
  'HostService.DeleteHost': {
    good: { id: 'spare-grpc' },
    bad: { id: 'a1' },
    code: 'CONFLICT',
    field: 'id',
    stale: [{ id: 'spare-grpc', ifRevision: OTHER }],
  },
  'NamespaceService.PutNamespace': {
    good: { name: 'shop', labels: { team: 'green' } },
    bad: { name: 'Shop' },
    ...invalid,
    field: 'name',
    stale: [
      { name: 'shop', ifRevision: OTHER },
      { name: 'shop', ifAbsent: true },
    ],
  },
  'NamespaceService.GetNamespace': { good: { name: 'shop' }, bad: { name: 'none' }, ...missing },
  'NamespaceService.ListNamespaces': { good: {}, ...BAD_LIMIT, paged: pages('namespaces') },
  'NamespaceService.DeleteNamespace': {
    good: { name: 'idle-grpc' },
    bad: { name: 'shop' },
    code: 'CONFLICT',
    field: 'name',
    stale: [{ name: 'idle-grpc', ifRevision: OTHER }],
  },
  'WorkloadService.CreateWorkload': {
    good: workload('new-grpc'),
    bad: { ...workload('x'), host: 'none' },
    ...invalid,
    field: 'host',
    once: { other: workload('new-other') },
  },
  'WorkloadService.ProbeWorkload': {
    good: { id: 'shop.web', address: '198.51.100.1', port: 80 },
    bad: { id: 'shop.web', address: 'db.example', port: 80 },
    ...invalid,
    field: 'address',
  },
  'WorkloadService.GetWorkload': { good: { id: 'shop.web' }, bad: { id: 'shop.none' }, ...missing },
  'WorkloadService.ListWorkloads': { good: {}, ...BAD_LIMIT, paged: pages('workloads') },
  'WorkloadService.UpdateWorkload': {
    good: { id: 'shop.web', labels: { labels: { app: 'web' } } },
    bad: { id: 'shop.web', ports: { ports: [{ port: 80, protocol: 'TCP' }] } },
    ...invalid,
    field: 'ports[0].name',
    stale: [{ id: 'shop.web', ifRevision: OTHER }],
  },
  'WorkloadService.DeleteWorkload': {
    good: { id: 'shop.gone-grpc' },
    bad: { id: 'shop.none' },
    ...missing,
    stale: [{ id: 'shop.gone-grpc', ifRevision: OTHER }],
  },
  'IdentityService.GetIdentity': { good: { identity: 1 }, bad: { identity: 99 }, ...missing },
  'IdentityService.ListIdentities': { good: {}, ...BAD_LIMIT, paged: pages('identities') },
  'NetworkService.GetNetwork': { good: {} },
  'NetworkService.PutNetwork': {
    good: { network: { mtu: 1400 } },
    bad: { network: { mtu: 1279 } },
    ...invalid,
    field: 'mtu',
    stale: [{ network: {}, ifRevision: OTHER }],
  },
  'EgressGatewayService.PutEgressGateway': {
    good: { egressGateway: gateway('n1', 'eth1') },
    bad: { egressGateway: gateway('n1', '') },
    ...invalid,
    field: 'gateways[0].egress_ip',
    stale: [
      { egressGateway: gateway('n1', 'eth1'), ifRevision: OTHER },
      { egressGateway: gateway('n1', 'eth1'), ifAbsent: true },
    ],
  },
  'EgressGatewayService.GetEgressGateway': { good: { name: 'n1' }, bad: { name: 'none' }, ...missing },
  'EgressGatewayService.ListEgressGateways': { good: {}, ...BAD_LIMIT, paged: pages('egressGateways') },
  'EgressGatewayService.DeleteEgressGateway': {
    good: { name: 'gone-grpc' },
    bad: { name: 'none' },
    ...missing,
    stale: [{ name: 'gone-grpc', ifRevision: OTHER }],
  },
  'PrefilterService.PutPrefilter': {
    good: { prefilter: { name: 'n1', cidrs: ['203.0.113.0/29'] } },
    bad: { prefilter: { name: 'n1', cidrs: ['203.0.113.1'] } },
    ...invalid,
    field: 'cidrs[0]',
    stale: [
      { prefilter: { name: 'n1', cidrs: ['203.0.113.0/29'] }, ifRevision: OTHER },
      { prefilter: { name: 'n1', cidrs: ['203.0.113.0/29'] }, ifAbsent: true },
    ],
  },
  'PrefilterService.GetPrefilter': { good: { name: 'n1' }, bad: { name: 'none' }, ...missing },
  'PrefilterService.ListPrefilters': { good: {}, ...BAD_LIMIT, paged: pages('prefilters') },
  'PrefilterService.DeletePrefilter': {
    good: { name: 'gone-grpc' },
    bad: { name: 'none' },
    ...missing,
    stale: [{ name: 'gone-grpc', ifRevision: OTHER }],
  },
  'L2AnnouncementService.PutL2Announcement': {
    good: { l2Announcement: { name: 'n1', loadBalancerIps: true } },
    bad: { l2Announcement: { name: 'n1' } },
    ...invalid,
    field: 'load_balancer_ips',
    stale: [
      { l2Announcement: { name: 'n1', loadBalancerIps: true }, ifRevision: OTHER },
      { l2Announcement: { name: 'n1', loadBalancerIps: true }, ifAbsent: true },
    ],
  },
  'L2AnnouncementService.GetL2Announcement': { good: { name: 'n1' }, bad: { name: 'none' }, ...missing },
  'L2AnnouncementService.ListL2Announcements': { good: {}, ...BAD_LIMIT, paged: pages('l2Announcements') },
  'L2AnnouncementService.DeleteL2Announcement': {
    good: { name: 'gone-grpc' },
    bad: { name: 'none' },
    ...missing,
    stale: [{ name: 'gone-grpc', ifRevision: OTHER }],
  },
  'L2AnnouncementService.ListL2Leases': { good: {}, ...BAD_LIMIT },
  'L2AnnouncementService.GetL2Lease': { good: { service: 'shop.n1' }, bad: { service: 'shop.none' }, ...missing },
  'BgpService.PutBgpInstance': {
    good: { bgpInstance: BGP },
    bad: { bgpInstance: { ...BGP, peers: [{ name: 'tor', address: '198.51.100.2' }] } },
    ...invalid,
    field: 'peers[0].asn',
    stale: [
      { bgpInstance: BGP, ifRevision: OTHER },
      { bgpInstance: BGP, ifAbsent: true },
    ],
  },
  'BgpService.GetBgpInstance': { good: { name: 'n1' }, bad: { name: 'none' }, ...missing },
  'BgpService.ListBgpInstances': { good: {}, ...BAD_LIMIT, paged: pages('bgpInstances') },
  'BgpService.DeleteBgpInstance': {
    good: { name: 'gone-grpc' },
    bad: { name: 'none' },
    ...missing,
    stale: [{ name: 'gone-grpc', ifRevision: OTHER }],
  },
  'BgpService.ListBgpPeers': { good: {}, ...BAD_LIMIT },
  'BgpService.ListBgpRoutes': { good: {}, ...BAD_LIMIT },
  'HostFirewallService.GetHostFirewall': { good: { host: 'a1' }, bad: { host: 'none' }, ...missing },
  'HostFirewallService.ListHostFirewalls': { good: { host: 'a1' }, ...BAD_LIMIT },
  'HostFirewallService.ListHostFirewallEvents': { good: {}, ...BAD_LIMIT },
  'LoadBalancerService.ListServiceStats': { good: { byHost: true }, ...BAD_LIMIT },
  'PoolService.PutPool': {
    good: { name: 'n1', cidrs: ['10.90.0.0/16'] },
    bad: { name: 'n1', cidrs: ['10.90.0.0/30'] },
    ...invalid,
    field: 'block_bits4',
    stale: [
      { name: 'n1', cidrs: ['10.90.0.0/16'], ifRevision: OTHER },
      { name: 'n1', cidrs: ['10.90.0.0/16'], ifAbsent: true },
    ],
  },
  'PoolService.GetPool': { good: { name: 'n1' }, bad: { name: 'none' }, ...missing },
  'PoolService.ListPools': { good: {}, ...BAD_LIMIT, paged: pages('pools') },
  'PoolService.DeletePool': {
    good: { name: 'gone-grpc' },
    bad: { name: 'default' },
    code: 'CONFLICT',
    field: 'name',
    stale: [{ name: 'gone-grpc', ifRevision: OTHER }],
  },
  'PoolService.PutReservation': {
    good: { address: '10.77.99.0', workload: 'shop.nobody' },
    bad: { address: 'x', workload: 'shop.nobody' },
    ...invalid,
    field: 'address',
    stale: [
      { address: '10.77.99.0', workload: 'shop.nobody', ifRevision: OTHER },
      { address: '10.77.99.0', workload: 'shop.nobody', ifAbsent: true },
    ],
  },
  'PoolService.GetReservation': { good: { address: '10.77.99.0' }, bad: { address: '10.77.99.77' }, ...missing },
  'PoolService.ListReservations': { good: {}, ...BAD_LIMIT, paged: pages('reservations') },
  'PoolService.DeleteReservation': {
    good: { address: '10.77.99.2' },
    bad: { address: '10.77.99.77' },
    ...missing,
    stale: [{ address: '10.77.99.2', ifRevision: OTHER }],
  },
  'LoadBalancerService.CreateService': {
    good: { name: 'new-grpc', spec: service(1_020) },
    bad: { name: 'x', spec: service(0) },
    ...invalid,
    field: 'frontends[0].port',
    once: { other: { name: 'other-grpc', spec: service(1_021) } },
  },
  'LoadBalancerService.PutService': {
    good: { id: 'shop.n1', spec: service(1_000) },
    bad: { id: 'n1', spec: service(1_000) },
    ...invalid,
    field: 'id',
    stale: [
      { id: 'shop.n1', spec: service(1_000), ifRevision: OTHER },
      { id: 'shop.n1', spec: service(1_000), ifAbsent: true },
    ],
  },
  'LoadBalancerService.GetService': { good: { id: 'shop.n1' }, bad: { id: 'shop.none' }, ...missing },
  'LoadBalancerService.ListServices': { good: {}, ...BAD_LIMIT, paged: pages('services') },
  'LoadBalancerService.DeleteService': {
    good: { id: 'shop.gone-grpc' },
    bad: { id: 'shop.none' },
    ...missing,
    stale: [{ id: 'shop.gone-grpc', ifRevision: OTHER }],
  },
  'LoadBalancerService.UpdateBackend': {
    good: { id: 'shop.n1', number: 1, weight: 60 },
    bad: { id: 'shop.n1', number: 1, weight: 70_000 },
    ...invalid,
    field: 'weight',
    stale: [{ id: 'shop.n1', number: 1, weight: 60, ifRevision: OTHER }],
  },
  'LoadBalancerService.PutLoadBalancerPool': {
    good: { pool: { name: 'n1', blocks: [{ cidr: '198.51.100.0/28' }] } },
    bad: { pool: { name: 'n1', blocks: [{ cidr: '198.51.100.1/28' }] } },
    ...invalid,
    field: 'blocks[0].cidr',
    stale: [
      { pool: { name: 'n1', blocks: [{ cidr: '198.51.100.0/28' }] }, ifRevision: OTHER },
      { pool: { name: 'n1', blocks: [{ cidr: '198.51.100.0/28' }] }, ifAbsent: true },
    ],
  },
  'LoadBalancerService.GetLoadBalancerPool': { good: { name: 'n1' }, bad: { name: 'none' }, ...missing },
  'LoadBalancerService.ListLoadBalancerPools': { good: {}, ...BAD_LIMIT, paged: pages('pools') },
  'LoadBalancerService.DeleteLoadBalancerPool': {
    good: { name: 'gone-grpc' },
    bad: { name: 'none' },
    ...missing,
    stale: [{ name: 'gone-grpc', ifRevision: OTHER }],
  },
  'HealthService.ListHealth': { good: {}, bad: { status: 'down' }, ...invalid, field: 'status' },
  'HealthService.ListHostHealth': { good: {}, ...BAD_LIMIT },
  ...POLICY_GRPC,
  ...TRAFFIC,
  ...RUNTIME_GRPC,
};
