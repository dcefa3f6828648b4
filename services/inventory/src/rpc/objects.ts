// SPDX-License-Identifier: Apache-2.0
/** weir.inventory.v1.EgressGatewayService and PrefilterService */
import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { checked } from '@weir/http';
import { EgressGatewaySchema, PrefilterSchema } from '@weir/proto/weir/bus/v1/config_pb.js';
import { EgressGatewayService, PrefilterService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { implement, type Registered } from '@weir/rpc';
import { EgressGatewayPutSchema, type EgressGatewaySpec } from '../domain/egress-gateways.ts';
import { PrefilterPutSchema, type PrefilterSpec } from '../domain/prefilters.ts';
import { messageOf, settingsOf } from '../domain/wire.ts';
import type { Operations } from '../operations/context.ts';
import { EGRESS_GATEWAYS, PREFILTERS } from '../operations/kinds.ts';
import { deleteObject, findObject, pageOfObjects, putObject } from '../operations/objects.ts';
import type { FleetObject } from '../store/objects.ts';
import { conditionsOf, matchOf, pageOfRequest } from './requests.ts';

const factsOf = ({ revision, created_at }: FleetObject<object>) => ({
  revision,
  createdAt: timestampFromDate(created_at),
});
const gatewayEntry = (row: FleetObject<EgressGatewaySpec>) => ({
  egressGateway: messageOf(EgressGatewaySchema, { name: row.name, ...row.spec }),
  ...factsOf(row),
});
const prefilterEntry = (row: FleetObject<PrefilterSpec>) => ({
  prefilter: messageOf(PrefilterSchema, { name: row.name, ...row.spec }),
  ...factsOf(row),
});

/** A hop names one of two; protobuf has no other way to leave a text out than the empty one. */
const withoutEmpty = (hop: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries({ hosts: {}, ...hop }).filter(([, value]) => value !== ''));

export const egressGatewayService = (operations: Operations): Registered =>
  implement(EgressGatewayService, {
    putEgressGateway: async ({ egressGateway = create(EgressGatewaySchema), ...conditions }) => {
      const { name, ...given } = settingsOf(EgressGatewaySchema, egressGateway);
      const gateways = (given.gateways as Record<string, unknown>[]).map(withoutEmpty);
      const spec = checked(EgressGatewayPutSchema, { ...given, gateways });
      const row = await putObject(operations, EGRESS_GATEWAYS, String(name), spec, conditionsOf(conditions));
      return { egressGateway: gatewayEntry(row) };
    },
    getEgressGateway: async ({ name }) => ({
      egressGateway: gatewayEntry(await findObject(operations, EGRESS_GATEWAYS, name)),
    }),
    listEgressGateways: async (request) => {
      const { items, next_cursor } = await pageOfObjects(operations, EGRESS_GATEWAYS, pageOfRequest(request));
      return { egressGateways: items.map(gatewayEntry), nextCursor: next_cursor ?? '' };
    },
    deleteEgressGateway: async ({ name, ifRevision }) => {
      await deleteObject(operations, EGRESS_GATEWAYS, name, matchOf(ifRevision));
      return {};
    },
  });

export const prefilterService = (operations: Operations): Registered =>
  implement(PrefilterService, {
    putPrefilter: async ({ prefilter = create(PrefilterSchema), ...conditions }) => {
      const { name, ...given } = settingsOf(PrefilterSchema, prefilter);
      const spec = checked(PrefilterPutSchema, given);
      const row = await putObject(operations, PREFILTERS, String(name), spec, conditionsOf(conditions));
      return { prefilter: prefilterEntry(row) };
    },
    getPrefilter: async ({ name }) => ({ prefilter: prefilterEntry(await findObject(operations, PREFILTERS, name)) }),
    listPrefilters: async (request) => {
      const { items, next_cursor } = await pageOfObjects(operations, PREFILTERS, pageOfRequest(request));
      return { prefilters: items.map(prefilterEntry), nextCursor: next_cursor ?? '' };
    },
    deletePrefilter: async ({ name, ifRevision }) => {
      await deleteObject(operations, PREFILTERS, name, matchOf(ifRevision));
      return {};
    },
  });
