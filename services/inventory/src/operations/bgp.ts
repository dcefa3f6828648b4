// SPDX-License-Identifier: Apache-2.0
/** Sessions of the hosts' BGP speakers, and what they tell, as their heartbeats say. */
import { Cursors, type Page } from '@weir/http';
import { Type } from 'typebox';
import { type BgpFilter, type BgpPeerOfHost, type BgpRoute, listBgpPeers, listBgpRoutes } from '../store/bgp.ts';
import type { Operations } from './context.ts';
import type { PageRequest } from './pages.ts';

const PEERS = new Cursors('bgp-peers', Type.Tuple([Type.String(), Type.Integer()]));
const ROUTES = new Cursors('bgp-routes', Type.Tuple([Type.String(), Type.Integer(), Type.String()]));

export const pageOfBgpPeers = async (
  { db }: Operations,
  filter: BgpFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<BgpPeerOfHost>> => {
  const scope = { ...filter };
  const rows = await listBgpPeers(db.kysely, filter, PEERS.decode(cursor, scope) ?? ['', 0], limit + 1);
  return PEERS.page(
    rows,
    limit,
    (row) => row,
    ({ host_id, position }) => [host_id, position] as [string, number],
    scope,
  );
};

export const pageOfBgpRoutes = async (
  { db }: Operations,
  filter: BgpFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<BgpRoute>> => {
  const scope = { ...filter };
  const rows = await listBgpRoutes(db.kysely, filter, ROUTES.decode(cursor, scope) ?? ['', 0, ''], limit + 1);
  return ROUTES.page(
    rows,
    limit,
    (row) => row,
    ({ host_id, position, prefix }) => [host_id, position, prefix] as [string, number, string],
    scope,
  );
};
