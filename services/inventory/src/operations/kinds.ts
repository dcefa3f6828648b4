// SPDX-License-Identifier: Apache-2.0
/** The kinds of named objects: egress gateways, prefilters, announcements, BGP instances. */
import {
  BgpInstanceSchema,
  EgressGatewaySchema,
  L2AnnouncementSchema,
  PrefilterSchema,
} from '@weir/proto/weir/bus/v1/config_pb.js';
import { sql, type Transaction } from 'kysely';
import { BgpInstancePutSchema, type BgpInstanceSpec, checkBgpInstance } from '../domain/bgp-instances.ts';
import { checkEgressGateway, EgressGatewayPutSchema, type EgressGatewaySpec } from '../domain/egress-gateways.ts';
import { checkL2Announcement, L2AnnouncementPutSchema, type L2AnnouncementSpec } from '../domain/l2-announcements.ts';
import {
  checkPrefilter,
  type Needed,
  PrefilterPutSchema,
  type PrefilterSpec,
  refuseLockOut,
} from '../domain/prefilters.ts';
import { messageOf } from '../domain/wire.ts';
import { lockUnderlay } from '../store/hosts.ts';
import type { Tables } from '../store/tables.ts';
import type { ObjectKind } from './objects.ts';

export const EGRESS_GATEWAYS: ObjectKind<EgressGatewaySpec> = {
  kind: 'egressGateway',
  noun: 'egress-gateway',
  schema: EgressGatewayPutSchema,
  check: checkEgressGateway,
  // Hosts come and go: one that matches no selector now may tomorrow.
  admit: async () => {},
  body: (name, spec) => ({ case: 'egressGateway', value: messageOf(EgressGatewaySchema, { name, ...spec }) }),
};

export const L2_ANNOUNCEMENTS: ObjectKind<L2AnnouncementSpec> = {
  kind: 'l2Announcement',
  noun: 'l2-announcement',
  schema: L2AnnouncementPutSchema,
  check: checkL2Announcement,
  // Services and hosts come and go.
  admit: async () => {},
  body: (name, spec) => ({ case: 'l2Announcement', value: messageOf(L2AnnouncementSchema, { name, ...spec }) }),
};

export const BGP_INSTANCES: ObjectKind<BgpInstanceSpec> = {
  kind: 'bgpInstance',
  noun: 'bgp-instance',
  schema: BgpInstancePutSchema,
  check: checkBgpInstance,
  admit: async () => {},
  body: (name, spec) => ({ case: 'bgpInstance', value: messageOf(BgpInstanceSchema, { name, ...spec }) }),
};

const hostsIn = async (trx: Transaction<Tables>, cidrs: readonly string[]): Promise<Needed[]> => {
  const { rows } = await sql<{ id: string; address: string }>`
    select h.id, host(a.address) as address
    from hosts h cross join lateral (values (h.underlay_ip4), (h.underlay_ip6)) a (address)
    where exists (select 1 from unnest(${cidrs}::cidr[]) c (cidr) where a.address <<= c.cidr)
    order by h.id limit 1`.execute(trx);
  return rows.map(({ id, address }) => ({ address, whose: `host ${id}` }));
};

export const PREFILTERS: ObjectKind<PrefilterSpec> = {
  kind: 'prefilter',
  noun: 'prefilter',
  schema: PrefilterPutSchema,
  check: checkPrefilter,
  admit: async (trx, { cidrs }, { controlAddresses }) => {
    const control = (await controlAddresses()).map((address) => ({ address, whose: 'the control plane' }));
    await lockUnderlay(trx);
    refuseLockOut(cidrs, [...control, ...(await hostsIn(trx, cidrs))]);
  },
  body: (name, spec) => ({ case: 'prefilter', value: messageOf(PrefilterSchema, { name, ...spec }) }),
};
