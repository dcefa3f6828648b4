// SPDX-License-Identifier: Apache-2.0
/** weir.inventory.v1.LoadBalancerService: services and the pools that they get addresses of */
import { create, fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { checked } from '@weir/http';
import {
  LoadBalancerPoolSchema,
  LoadBalancerService,
  ServiceConditionSchema,
  ServiceSpecSchema,
  type ServiceSpec as SpecMessage,
} from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { implement, onceOfCall, type Registered } from '@weir/rpc';
import { poolConditions, totalOf } from '../domain/conditions.ts';
import { LbPoolPutSchema } from '../domain/lb-pools.ts';
import { BackendPatchSchema, ServiceCreateSchema, ServicePutSchema } from '../domain/services.ts';
import type { Operations } from '../operations/context.ts';
import { deleteLbPool, findLbPool, pageOfLbPools, putLbPool } from '../operations/lb-pools.ts';
import { pageOfServiceStats } from '../operations/service-stats.ts';
import {
  createService,
  deleteService,
  findService,
  pageOfServices,
  patchBackend,
  putService,
} from '../operations/services.ts';
import { serviceStatView } from '../routes/service-stats.ts';
import { serviceView } from '../routes/services.ts';
import type { LbPoolRow } from '../store/lb-pools.ts';
import { PAST_BACKENDS } from '../store/service-counts.ts';
import type { WholeService } from '../store/services.ts';
import { compact, conditionsOf, given, matchOf, pageOfRequest } from './requests.ts';

type Json = Record<string, unknown>;

/** Of these the empty value says something; of all others it is how protobuf leaves a field out. */
const SAYS_ZERO = ['weight', 'allow_first_last_ips'];
const isEmpty = (value: unknown): boolean =>
  value === '' || value === 0 || value === false || (Array.isArray(value) && value.length === 0);

const withoutEmpty = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, part]) => SAYS_ZERO.includes(key) || !isEmpty(part))
      .map(([key, part]) => [key, withoutEmpty(part)]),
  );
};

const AS_REST = { useProtoFieldName: true };

const specOf = (message: SpecMessage = create(ServiceSpecSchema)): Json => {
  const spec = withoutEmpty(toJson(ServiceSpecSchema, message, AS_REST)) as Json & { targets?: { port?: string }[] };
  const targets = spec.targets?.map(({ port = '', ...target }) => ({
    ...target,
    port: /^\d+$/.test(port) ? Number(port) : port,
  }));
  return { frontends: [], ...spec, ...(targets === undefined ? {} : { targets }) };
};

const serviceMessage = (whole: WholeService) => {
  const { spec, frontends, backends, revision, created_at: _at, ...view } = serviceView(whole);
  const targets = whole.row.spec.targets.map((target) => ({ ...target, port: String(target.port) }));
  return {
    ...view,
    spec: fromJson(ServiceSpecSchema, { ...spec, targets } as JsonValue),
    frontends: frontends.map(({ address, port_name, pool, ...one }) => ({
      ...one,
      address: address ?? '',
      portName: port_name,
      pool: pool ?? '',
    })),
    backends: backends.map(({ port_name, workload, host, since, effective_weight, health, prober, ...one }) => ({
      ...one,
      since: timestampFromDate(new Date(since)),
      effectiveWeight: effective_weight,
      health: health ?? '',
      prober: prober ?? '',
      portName: port_name,
      workload: workload ?? '',
      host: host ?? '',
    })),
    createdAt: timestampFromDate(whole.row.created_at),
    revision: BigInt(revision),
  };
};

const poolMessage = (row: LbPoolRow) => {
  const pool = fromJson(LoadBalancerPoolSchema, { name: row.name, ...row.spec } as unknown as JsonValue);
  pool.addressesTotal = BigInt.asUintN(64, totalOf(row));
  pool.addressesUsed = row.used;
  pool.conditions = poolConditions(row).map((one) => create(ServiceConditionSchema, one));
  pool.createdAt = timestampFromDate(row.created_at);
  pool.revision = row.revision;
  return pool;
};

export const loadBalancerService = (operations: Operations): Registered =>
  implement(LoadBalancerService, {
    createService: async ({ name, namespace, spec }, call) => {
      const input = checked(ServiceCreateSchema, {
        ...specOf(spec),
        ...compact({ name, namespace: given(namespace) }),
      });
      const full = { ...input, namespace: input.namespace ?? 'default' };
      return { service: serviceMessage(await createService(operations, full, onceOfCall(call))) };
    },
    putService: async ({ id, spec, ...conditions }) => {
      const input = checked(ServicePutSchema, specOf(spec));
      return { service: serviceMessage(await putService(operations, id, input, conditionsOf(conditions))) };
    },
    getService: async ({ id }) => ({ service: serviceMessage(await findService(operations, id)) }),
    listServices: async (request) => {
      const filter = compact({
        namespace: given(request.namespace),
        labels: Object.keys(request.labels).length > 0 ? request.labels : undefined,
      });
      const { items, next_cursor } = await pageOfServices(operations, filter, pageOfRequest(request));
      return { services: items.map(serviceMessage), nextCursor: next_cursor ?? '' };
    },
    deleteService: async ({ id, ifRevision }) => {
      await deleteService(operations, id, matchOf(ifRevision));
      return {};
    },
    updateBackend: async ({ id, number, state, weight, reason, ifRevision }) => {
      const patch = checked(BackendPatchSchema, compact({ state, weight, reason: given(reason) }));
      return { service: serviceMessage(await patchBackend(operations, id, number, patch, matchOf(ifRevision))) };
    },
    listServiceStats: async ({ service, host, byHost, ...request }) => {
      const filter = { service: given(service), host: given(host), byHost };
      const page = await pageOfServiceStats(operations, filter, pageOfRequest(request));
      const stats = page.items.map((row) => {
        const { frontend, backend, host: teller, reported_at } = serviceStatView(row);
        return {
          service: row.service_id,
          frontend: { ...frontend, address: frontend.address ?? '' },
          ...(backend ? { backend } : {}),
          past: Number(row.backend) === PAST_BACKENDS,
          host: teller ?? '',
          hosts: row.hosts,
          connections: BigInt(row.connections),
          packets: BigInt(row.packets),
          bytes: BigInt(row.bytes),
          flowHits: BigInt(row.flow_hits),
          flowMisses: BigInt(row.flow_misses),
          noBackend: BigInt(row.no_backend),
          denied: BigInt(row.denied),
          open: BigInt(row.open),
          reportedAt: timestampFromDate(new Date(reported_at)),
        };
      });
      return { stats, nextCursor: page.next_cursor ?? '' };
    },
    putLoadBalancerPool: async ({ pool = create(LoadBalancerPoolSchema), ...conditions }) => {
      const { name = '', ...settings } = withoutEmpty(toJson(LoadBalancerPoolSchema, pool, AS_REST)) as Json;
      const { blocks = [], service_selector, allow_first_last_ips, disabled, frontend_type } = settings;
      const input = { blocks, ...compact({ service_selector, allow_first_last_ips, disabled, frontend_type }) };
      const spec = checked(LbPoolPutSchema, input);
      return { pool: poolMessage(await putLbPool(operations, String(name), spec, conditionsOf(conditions))) };
    },
    getLoadBalancerPool: async ({ name }) => ({ pool: poolMessage(await findLbPool(operations, name)) }),
    listLoadBalancerPools: async (request) => {
      const { items, next_cursor } = await pageOfLbPools(operations, pageOfRequest(request));
      return { pools: items.map(poolMessage), nextCursor: next_cursor ?? '' };
    },
    deleteLoadBalancerPool: async ({ name, ifRevision }) => {
      await deleteLbPool(operations, name, matchOf(ifRevision));
      return {};
    },
  });
