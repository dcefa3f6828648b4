// SPDX-License-Identifier: Apache-2.0
/**
 * Documents of services -> the backends that this host is to ask. Who asks whom is said in the documents (`prober`): the
 * backend's own host, or one that inventory chose. Of backends that end nobody is asked.
 */
import { toBinary } from '@bufbuild/protobuf';
import { isIp } from '@weir/net';
import {
  BackendState,
  type HealthCheck,
  HealthCheckKind,
  HealthCheckSchema,
  type LoadBalancerService,
  type ServiceBackend,
} from '@weir/proto/weir/bus/v1/config_pb.js';

export interface Target {
  /** Of the service and the backend. */
  readonly key: string;
  /** The same as long as it is asked in the same way. */
  readonly way: string;
  /** Numbers. */
  readonly service: number;
  readonly backend: number;
  readonly serviceId: string;
  readonly address: string;
  readonly port: number;
  /** Host that has the backend; empty: none of the fleet. */
  readonly hostId: string;
  /** As the fleet has it now. */
  readonly believed: boolean;
  readonly check: HealthCheck;
}

const ENDING: ReadonlySet<BackendState> = new Set([BackendState.TERMINATING, BackendState.TERMINATING_NOT_SERVING]);
/** What a document may ask for at most: inventory allows no less either. */
const PERIOD_MIN_MS = 100;
const TIMEOUT_MIN_MS = 10;

const bounded = (check: HealthCheck): HealthCheck => {
  const periodMs = Math.max(PERIOD_MIN_MS, check.periodMs);
  return { ...check, periodMs, timeoutMs: Math.min(periodMs, Math.max(TIMEOUT_MIN_MS, check.timeoutMs)) };
};

const isAsked = ({ prober, state, address }: ServiceBackend, host: string): boolean =>
  prober === host && !ENDING.has(state) && isIp(address);

/** One for each backend, under however many port names it is there. */
export const targetsOf = (service: LoadBalancerService, host: string): ReadonlyMap<string, Target> => {
  const found = new Map<string, Target>();
  if (service.healthCheck === undefined) return found;
  const check = bounded(service.healthCheck);
  const how = Buffer.from(toBinary(HealthCheckSchema, check)).toString('base64');
  for (const backend of service.backends) {
    if (!isAsked(backend, host)) continue;
    const port = check.port || backend.port;
    const key = `${service.number} ${backend.number}`;
    found.set(key, {
      ...{ key, way: `${backend.address} ${port} ${how}`, check, port },
      ...{ service: service.number, backend: backend.number, serviceId: service.id },
      ...{ address: backend.address, hostId: backend.hostId },
      believed: backend.state !== BackendState.QUARANTINED,
    });
  }
  return found;
};

export const kindName = ({ kind }: Pick<HealthCheck, 'kind'>): string =>
  (HealthCheckKind[kind] ?? 'unspecified').toLowerCase();
