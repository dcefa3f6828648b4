// SPDX-License-Identifier: Apache-2.0
/** A service as the document that agents read (weir.bus.v1.LoadBalancerService). Pure. */
import type { OutboxDocument } from '@weir/bus/publishing';
import { protocolNumber } from '@weir/net';
import {
  BackendState,
  DsrDispatch,
  FrontendScope,
  FrontendType,
  HealthCheckKind,
  NoBackendResponse,
  ServiceAlgorithm,
  ServiceForwarding,
  SourceRangesPolicy,
  TrafficDistribution,
  TrafficPolicy,
} from '@weir/proto/weir/bus/v1/config_pb.js';
import type { WholeService } from '../store/services.ts';
import { effectiveWeight } from './backend-health.ts';
import type { LabelSelector } from './selectors.ts';
import type { HealthCheckSpec } from './services.ts';

/** `terminating-not-serving` is TERMINATING_NOT_SERVING; a word without a value is not said. */
const enumValue = (values: object, word: string): number =>
  (values as Record<string, number>)[word.toUpperCase().replaceAll('-', '_')] ?? 0;

const selectorOf = ({ match_labels = {}, match_expressions = [] }: LabelSelector) => ({
  matchLabels: match_labels,
  matchExpressions: match_expressions.map(({ values = [], ...term }) => ({ ...term, values })),
});

const healthOf = (check: HealthCheckSpec) => ({
  kind: enumValue(HealthCheckKind, check.kind),
  port: check.port,
  periodMs: check.period_ms,
  timeoutMs: check.timeout_ms,
  unhealthyAfter: check.unhealthy_after,
  healthyAfter: check.healthy_after,
  slowStartMs: check.slow_start_ms,
  path: check.path,
  host: check.host,
  statusLow: check.status_low,
  statusHigh: check.status_high,
  send: Buffer.from(check.send),
  expect: Buffer.from(check.expect),
  grpcService: check.grpc_service,
  insecure: check.insecure,
  tls: check.tls,
});

/** Frontends that wait for an address are not in it. */
export const serviceDocument = ({ row, frontends, backends }: WholeService): OutboxDocument => {
  const { spec } = row;
  return {
    kind: 'service',
    key: row.id,
    body: {
      case: 'service',
      value: {
        id: row.id,
        number: Number(row.number),
        namespace: row.namespace,
        name: row.name,
        labels: { ...row.labels },
        frontends: frontends
          .filter(({ type, address }) => type === 'node-port' || address !== null)
          .map((one) => ({
            number: Number(one.number),
            type: enumValue(FrontendType, one.type),
            address: one.address ?? '',
            port: one.port,
            protocol: protocolNumber(one.protocol),
            scope: enumValue(FrontendScope, one.scope),
            portName: one.port_name,
          })),
        backends: backends.map((one) => ({
          number: Number(one.number),
          address: one.address,
          port: one.port,
          protocol: protocolNumber(one.protocol),
          portName: one.port_name,
          weight: effectiveWeight(one),
          state: enumValue(BackendState, one.state),
          hostId: one.host_id ?? '',
          workloadId: one.workload_id ?? '',
          zone: one.zone,
          prober: one.prober ?? '',
        })),
        algorithm: enumValue(ServiceAlgorithm, spec.algorithm),
        maglevSize: spec.maglev_size,
        forwarding: enumValue(ServiceForwarding, spec.forwarding),
        dsrDispatch: enumValue(DsrDispatch, spec.dsr_dispatch),
        affinityTimeoutS: spec.affinity_timeout_s,
        externalTrafficPolicy: enumValue(TrafficPolicy, spec.external_traffic_policy),
        internalTrafficPolicy: enumValue(TrafficPolicy, spec.internal_traffic_policy),
        distribution: enumValue(TrafficDistribution, spec.distribution),
        sourceRanges: [...spec.source_ranges],
        sourceRangesPolicy: enumValue(SourceRangesPolicy, spec.source_ranges_policy),
        noBackend: enumValue(NoBackendResponse, spec.no_backend),
        ...(spec.hosts === undefined ? {} : { hosts: selectorOf(spec.hosts) }),
        ...(spec.health_check === undefined ? {} : { healthCheck: healthOf(spec.health_check) }),
        healthCheckNodePort: spec.health_check_node_port,
        delegateIfLocal: spec.delegate_if_local,
        skipRedirectFromBackends: spec.skip_redirect_from_backends,
      },
    },
  };
};
