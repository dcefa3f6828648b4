// SPDX-License-Identifier: Apache-2.0
/** Configuration entries as the bus would give them, without the bus. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type ConfigEntry, type ConfigKind, configEntry, configSubject, PUBLISHER_OF } from '@weir/bus';
import { listRules, parseDocument } from '@weir/policy-engine';
import {
  type BackendState,
  ConfigDocumentSchema,
  type FrontendScope,
  type FrontendType,
  type HealthCheckSchema,
  type NoBackendResponse,
  type ServiceAlgorithm,
  type TrafficDistribution,
  type TrafficPolicy,
} from '@weir/proto/weir/bus/v1/config_pb.js';

type Body = NonNullable<MessageInitShape<typeof ConfigDocumentSchema>['body']>;

let revision = 0n;

const entry = (kind: ConfigKind, key: string, body: Body): ConfigEntry => {
  const document = create(ConfigDocumentSchema, {
    subject: configSubject(kind, key),
    epoch: 1n,
    revision: ++revision,
    publisher: PUBLISHER_OF[kind],
    body,
  });
  return configEntry(document, new Uint8Array(0)) as ConfigEntry;
};

export const removal = (kind: ConfigKind, key: string): ConfigEntry => entry(kind, key, { case: undefined });

export const networkEntry = (value: Extract<Body, { case: 'network' }>['value']): ConfigEntry =>
  entry('network', 'fleet', { case: 'network', value });

export const prefilterEntry = (name: string, value: Extract<Body, { case: 'prefilter' }>['value']): ConfigEntry =>
  entry('prefilter', name, { case: 'prefilter', value: { name, ...value } });

/** `spec` of a TracingPolicy. */
export const runtimePolicyEntry = (name: string, spec: object): ConfigEntry => {
  const key = `TracingPolicy/-/${name}`;
  const document = JSON.stringify({
    apiVersion: 'cilium.io/v1alpha1',
    kind: 'TracingPolicy',
    metadata: { name },
    spec,
  });
  return entry('runtimePolicy', key, { case: 'runtimePolicy', value: { key, policyRevision: 1n, document } });
};

export const egressGatewayEntry = (
  name: string,
  value: Extract<Body, { case: 'egressGateway' }>['value'],
): ConfigEntry => entry('egressGateway', name, { case: 'egressGateway', value: { name, ...value } });

/** What tests say of a service; the rest is as documents have it when they say nothing. */
export interface ServiceBody {
  readonly skipRedirectFromBackends?: boolean;
  readonly id?: string;
  readonly number?: number;
  frontends?: {
    readonly number: number;
    readonly type: FrontendType;
    readonly address?: string;
    readonly port: number;
    readonly protocol: number;
    readonly scope?: FrontendScope;
    readonly portName?: string;
  }[];
  backends?: {
    readonly number: number;
    readonly address: string;
    readonly port: number;
    readonly protocol: number;
    readonly weight?: number;
    readonly state?: BackendState;
    readonly hostId?: string;
    readonly zone?: string;
    readonly portName?: string;
    readonly prober?: string;
  }[];
  readonly namespace?: string;
  readonly name?: string;
  readonly healthCheckNodePort?: number;
  readonly healthCheck?: MessageInitShape<typeof HealthCheckSchema>;
  readonly affinityTimeoutS?: number;
  readonly internalTrafficPolicy?: TrafficPolicy;
  readonly externalTrafficPolicy?: TrafficPolicy;
  readonly distribution?: TrafficDistribution;
  readonly noBackend?: NoBackendResponse;
  readonly algorithm?: ServiceAlgorithm;
  readonly delegateIfLocal?: boolean;
  readonly hosts?: { readonly matchLabels: Record<string, string> };
}

export const serviceEntry = (value: ServiceBody): ConfigEntry =>
  entry('service', value.id ?? '', { case: 'service', value });

export const l2AnnouncementEntry = (
  name: string,
  value: Extract<Body, { case: 'l2Announcement' }>['value'],
): ConfigEntry => entry('l2Announcement', name, { case: 'l2Announcement', value: { name, ...value } });

export const bgpInstanceEntry = (name: string, value: Extract<Body, { case: 'bgpInstance' }>['value']): ConfigEntry =>
  entry('bgpInstance', name, { case: 'bgpInstance', value: { name, ...value } });

export const labelledHostEntry = (id: string, labels: Record<string, string>): ConfigEntry =>
  entry('host', id, { case: 'host', value: { id, name: id, underlayIp4: '192.168.0.1', labels } });

export const hostEntry = (id: string, underlayIp4: string, ...pools: string[]): ConfigEntry =>
  dualHostEntry(id, underlayIp4, '', ...pools);

export const dualHostEntry = (id: string, underlayIp4: string, underlayIp6: string, ...pools: string[]): ConfigEntry =>
  entry('host', id, {
    case: 'host',
    value: { id, name: id, underlayIp4, underlayIp6, pools, labels: { name: id } },
  });

/** A host whose health endpoint has these addresses. */
export const endpointHostEntry = (id: string, healthIp4: string, healthIp6: string): ConfigEntry =>
  entry('host', id, {
    case: 'host',
    value: { id, name: id, underlayIp4: `192.0.2.${id.slice(1)}`, healthIp4, healthIp6 },
  });

export const fullHostEntry = (value: Extract<Body, { case: 'host' }>['value']): ConfigEntry =>
  entry('host', String(value.id), { case: 'host', value: { name: String(value.id), ...value } });

export const identityEntry = (identity: number, ...labels: string[]): ConfigEntry =>
  entry('identity', String(identity), { case: 'identity', value: { identity, labels } });

export interface WorkloadInit {
  readonly host?: string;
  readonly ip4?: string;
  readonly ip6?: string;
  readonly netns?: string;
  readonly namedPorts?: { name: string; port: number; protocol: number }[];
  readonly egressBitsPerSecond?: bigint;
  readonly ingressBitsPerSecond?: bigint;
  readonly anySource?: boolean;
  readonly hostNetwork?: boolean;
  readonly cgroup?: string;
}

export const workloadEntry = (id: string, identity: number, init: WorkloadInit = {}): ConfigEntry =>
  entry('workload', id, {
    case: 'workload',
    value: {
      id,
      hostId: 'h1',
      identity,
      ip4: '10.1.0.2',
      netns: `/run/netns/${id}`,
      ...init,
      ...(init.host ? { hostId: init.host } : {}),
    },
  });

/** Rule ids: place in listRules, from 1. */
export const policyEntry = (document: {
  readonly kind: string;
  readonly metadata: { readonly namespace?: string; readonly name: string };
}): ConfigEntry => {
  const { kind, metadata } = document;
  const key = `${kind}/${metadata.namespace ?? '-'}/${metadata.name}`;
  let rules: { path: string; id: number }[] = [];
  try {
    rules = listRules(parseDocument(document)).map(({ path }, i) => ({ path, id: i + 1 }));
  } catch {
    // A document that the engine refuses.
  }
  return entry('policy', key, {
    case: 'policy',
    value: { key, policyRevision: 1n, document: JSON.stringify(document), rules },
  });
};

export const knp = (name: string, app: string, spec: Record<string, unknown>, namespace = 'prod') => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name, namespace },
  spec: { podSelector: { matchLabels: { app } }, ...spec },
});

export const cnp = (name: string, app: string, spec: Record<string, unknown>, namespace = 'prod') => ({
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumNetworkPolicy',
  metadata: { name, namespace },
  spec: { endpointSelector: { matchLabels: { app } }, ...spec },
});
