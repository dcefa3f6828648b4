// SPDX-License-Identifier: Apache-2.0
/** Hosts' own policies and what happened to them, page by page. */
import { Cursors, type Page } from '@weir/http';
import { Type } from 'typebox';
import {
  type EventPlace,
  type HostFirewallEventRow,
  type HostFirewallRow,
  listFirewallEvents,
  listFirewalls,
} from '../store/host-firewalls.ts';
import { notFound, type Operations } from './context.ts';
import type { PageRequest } from './pages.ts';

const FIREWALLS = new Cursors('host-firewalls', Type.String());
const EVENTS = new Cursors('host-firewall-events', Type.Tuple([Type.Integer(), Type.String(), Type.Integer()]));

export interface HostFilter {
  readonly host?: string | undefined;
}

export const findHostFirewall = async ({ db }: Operations, host: string): Promise<HostFirewallRow> => {
  const [row] = await listFirewalls(db.kysely, { host, after: '' }, 1);
  if (!row) throw notFound('host firewall', host);
  return row;
};

export const pageOfHostFirewalls = async (
  { db }: Operations,
  { host }: HostFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<HostFirewallRow>> => {
  const scope = { host };
  const after = FIREWALLS.decode(cursor, scope) ?? '';
  const rows = await listFirewalls(db.kysely, { host, after }, limit + 1);
  return FIREWALLS.page(
    rows,
    limit,
    (row) => row,
    ({ host_id }) => host_id,
    scope,
  );
};

export const pageOfHostFirewallEvents = async (
  { db }: Operations,
  { host }: HostFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<HostFirewallEventRow>> => {
  const scope = { host };
  const before = EVENTS.decode(cursor, scope);
  const rows = await listFirewallEvents(db.kysely, { host, before }, limit + 1);
  return EVENTS.page(
    rows,
    limit,
    (row) => row,
    ({ time_ms, host_id, sequence }): EventPlace => [Number(time_ms), host_id, Number(sequence)],
    scope,
  );
};
