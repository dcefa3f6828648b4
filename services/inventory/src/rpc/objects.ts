// SPDX-License-Identifier: Apache-2.0
/** weir.inventory.v1.EgressGatewayService, PrefilterService and L2AnnouncementService */
import { create } from '@bufbuild/protobuf';
import { timestampFromDate, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { checked } from '@weir/http';
import { EgressGatewaySchema, L2AnnouncementSchema, PrefilterSchema } from '@weir/proto/weir/bus/v1/config_pb.js';
import {
  EgressGatewayService,
  L2AnnouncementService,
  PrefilterService,
} from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { implement, type Registered } from '@weir/rpc';
import { EgressGatewayPutSchema, type EgressGatewaySpec } from '../domain/egress-gateways.ts';
import { L2AnnouncementPutSchema, type L2AnnouncementSpec } from '../domain/l2-announcements.ts';
import { PrefilterPutSchema, type PrefilterSpec } from '../domain/prefilters.ts';
import { messageOf, settingsOf } from '../domain/wire.ts';
import type { Operations } from '../operations/context.ts';
import { EGRESS_GATEWAYS, L2_ANNOUNCEMENTS, PREFILTERS } from '../operations/kinds.ts';
import { findL2Lease, type L2Lease, pageOfL2Leases } from '../operations/l2-leases.ts';
import { deleteObject, findObject, pageOfObjects, putObject } from '../operations/objects.ts';
import { leaseView } from '../routes/l2-leases.ts';
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

const announcementEntry = (row: FleetObject<L2AnnouncementSpec>) => ({
  l2Announcement: messageOf(L2AnnouncementSchema, { name: row.name, ...row.spec }),
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

/** What is left out is zero in the message, and gets its default. */
const withoutZeros = (given: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== 0));

const leaseMessage = (lease: L2Lease) => {
  const { host, announcement, since, renewed_at, transitions, ...view } = leaseView(lease);
  return {
    ...view,
    host: host ?? '',
    announcement: announcement ?? '',
    ...(since === null ? {} : { since: timestampFromMs(Date.parse(since)) }),
    ...(renewed_at === null ? {} : { renewedAt: timestampFromMs(Date.parse(renewed_at)) }),
    transitions: BigInt(transitions),
  };
};

export const l2AnnouncementService = (operations: Operations): Registered =>
  implement(L2AnnouncementService, {
    putL2Announcement: async ({ l2Announcement = create(L2AnnouncementSchema), ...conditions }) => {
      const { name, ...given } = settingsOf(L2AnnouncementSchema, l2Announcement);
      const spec = checked(L2AnnouncementPutSchema, withoutZeros(given));
      const row = await putObject(operations, L2_ANNOUNCEMENTS, String(name), spec, conditionsOf(conditions));
      return { l2Announcement: announcementEntry(row) };
    },
    getL2Announcement: async ({ name }) => ({
      l2Announcement: announcementEntry(await findObject(operations, L2_ANNOUNCEMENTS, name)),
    }),
    listL2Announcements: async (request) => {
      const { items, next_cursor } = await pageOfObjects(operations, L2_ANNOUNCEMENTS, pageOfRequest(request));
      return { l2Announcements: items.map(announcementEntry), nextCursor: next_cursor ?? '' };
    },
    deleteL2Announcement: async ({ name, ifRevision }) => {
      await deleteObject(operations, L2_ANNOUNCEMENTS, name, matchOf(ifRevision));
      return {};
    },
    listL2Leases: async (request) => {
      const { items, next_cursor } = await pageOfL2Leases(operations, pageOfRequest(request));
      const l2Leases = items.map(leaseMessage);
      return { l2Leases, nextCursor: next_cursor ?? '' };
    },
    getL2Lease: async ({ service }) => ({ l2Lease: leaseMessage(await findL2Lease(operations, service)) }),
  });
