// SPDX-License-Identifier: Apache-2.0
/** /v1/host-firewalls and /v1/host-firewall-events: the hosts' own policies, confirmed or not, and what became of them. */
import { type HttpApp, mapPage, named, nullable, pageOf, pageQuery, ref } from '@weir/http';
import { type Static, Type } from 'typebox';
import type { Operations } from '../operations/context.ts';
import { findHostFirewall, pageOfHostFirewallEvents, pageOfHostFirewalls } from '../operations/host-firewalls.ts';
import type { HostFirewallEventRow, HostFirewallRow } from '../store/host-firewalls.ts';
import { Id, paged } from './parts.ts';

const Documents = (description: string) => Type.Array(Type.String(), { description });
const Time = Type.String({ format: 'date-time' });

export const HostFirewallSchema = named(
  'HostFirewall',
  Type.Object({
    host: Type.String(),
    state: Type.String({
      description:
        'none: no policy is for this host; confirmed; pending: it waits for its confirmation; undone: it was not confirmed, what was good before is in force; open: somebody on the host has put it out of force for a while',
    }),
    confirmed_by: Type.String({ description: 'Who confirms changes: bus or operator' }),
    documents: Documents('Of what is in force or waits: subject@revision'),
    last_good: Documents('Those that were confirmed last'),
    until: nullable(Type.String({ format: 'date-time', description: "End of pending or open, by the host's clock" })),
    why: nullable(Type.String({ description: 'Why it was undone, or opened' })),
    changed_at: Time,
  }),
);

export const HostFirewallEventSchema = named(
  'HostFirewallEvent',
  Type.Object({
    host: Type.String(),
    sequence: Type.Integer({ description: 'Of its host, from 1 on; a gap is what was never told' }),
    time: Type.String({ format: 'date-time', description: "By the host's clock" }),
    act: Type.String({ description: 'applied, confirmed, undone, opened, closed' }),
    by: Type.String({ description: 'agent or operator' }),
    why: Type.String(),
    documents: Documents('subject@revision'),
  }),
);
export const HOST_FIREWALL_SCHEMAS = [HostFirewallSchema, HostFirewallEventSchema];

export const hostFirewallView = ({
  host_id,
  until,
  why,
  changed_at,
  ...row
}: HostFirewallRow): Static<typeof HostFirewallSchema> => ({
  ...{ host: host_id, ...row, why: why || null },
  ...{ until: until?.toISOString() ?? null, changed_at: changed_at.toISOString() },
});

export const hostFirewallEventView = ({
  host_id,
  sequence,
  time_ms,
  ...row
}: HostFirewallEventRow): Static<typeof HostFirewallEventSchema> => ({
  ...{ host: host_id, sequence: Number(sequence), time: new Date(Number(time_ms)).toISOString(), ...row },
});

const query = Type.Object(
  { ...pageQuery, host: Type.Optional(Type.String({ minLength: 1, maxLength: 63, description: 'Of this host' })) },
  { additionalProperties: false },
);

export const hostFirewallRoutes = (app: HttpApp, operations: Operations): void => {
  const tags = ['hosts'];
  app.get(
    '/v1/host-firewalls',
    {
      schema: {
        tags,
        summary: 'List what hosts say of their own policies: which is in force, and whether it was confirmed',
        querystring: query,
        response: { 200: pageOf(ref(HostFirewallSchema)) },
      },
    },
    async ({ query: { limit, cursor, ...filter } }) =>
      mapPage(await pageOfHostFirewalls(operations, filter, paged({ limit, cursor })), hostFirewallView),
  );
  app.get(
    '/v1/host-firewalls/:id',
    {
      schema: {
        tags,
        summary: 'Show what a host says of its own policy',
        params: Id,
        response: { 200: ref(HostFirewallSchema) },
      },
    },
    async ({ params }) => hostFirewallView(await findHostFirewall(operations, params.id)),
  );
  app.get(
    '/v1/host-firewall-events',
    {
      schema: {
        tags,
        summary: "List what happened to hosts' own policies, newest first: applied, confirmed, undone, opened, closed",
        querystring: query,
        response: { 200: pageOf(ref(HostFirewallEventSchema)) },
      },
    },
    async ({ query: { limit, cursor, ...filter } }) =>
      mapPage(await pageOfHostFirewallEvents(operations, filter, paged({ limit, cursor })), hostFirewallEventView),
  );
};
