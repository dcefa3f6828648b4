// SPDX-License-Identifier: Apache-2.0
/** weir.inventory.v1.BgpService */
import { create } from '@bufbuild/protobuf';
import { timestampFromDate, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { checked } from '@weir/http';
import { BgpInstanceSchema } from '@weir/proto/weir/bus/v1/config_pb.js';
import { BgpService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { implement, type Registered } from '@weir/rpc';
import { BgpInstancePutSchema, type BgpInstanceSpec } from '../domain/bgp-instances.ts';
import { messageOf, settingsOf } from '../domain/wire.ts';
import { pageOfBgpPeers, pageOfBgpRoutes } from '../operations/bgp.ts';
import type { Operations } from '../operations/context.ts';
import { BGP_INSTANCES } from '../operations/kinds.ts';
import { deleteObject, findObject, pageOfObjects, putObject } from '../operations/objects.ts';
import { bgpPeerView, bgpRouteView } from '../routes/bgp.ts';
import type { FleetObject } from '../store/objects.ts';
import { compact, conditionsOf, given, matchOf, pageOfRequest } from './requests.ts';

const entry = ({ name, spec, revision, created_at }: FleetObject<BgpInstanceSpec>) => ({
  bgpInstance: messageOf(BgpInstanceSchema, { name, ...spec }),
  revision,
  createdAt: timestampFromDate(created_at),
});

const filterOf = ({ host, instance, peer }: { host: string; instance: string; peer: string }) =>
  compact({ host: given(host), instance: given(instance), peer: given(peer) });

export const bgpService = (operations: Operations): Registered =>
  implement(BgpService, {
    putBgpInstance: async ({ bgpInstance = create(BgpInstanceSchema), ...conditions }) => {
      const { name, ...settings } = settingsOf(BgpInstanceSchema, bgpInstance);
      const spec = checked(BgpInstancePutSchema, settings);
      return {
        bgpInstance: entry(await putObject(operations, BGP_INSTANCES, String(name), spec, conditionsOf(conditions))),
      };
    },
    getBgpInstance: async ({ name }) => ({ bgpInstance: entry(await findObject(operations, BGP_INSTANCES, name)) }),
    listBgpInstances: async (request) => {
      const { items, next_cursor } = await pageOfObjects(operations, BGP_INSTANCES, pageOfRequest(request));
      return { bgpInstances: items.map(entry), nextCursor: next_cursor ?? '' };
    },
    deleteBgpInstance: async ({ name, ifRevision }) => {
      await deleteObject(operations, BGP_INSTANCES, name, matchOf(ifRevision));
      return {};
    },
    listBgpPeers: async (request) => {
      const page = await pageOfBgpPeers(operations, filterOf(request), pageOfRequest(request));
      const bgpPeers = page.items.map((row) => {
        const { local_asn: localAsn, since, reported_at, error, ...view } = bgpPeerView(row);
        return {
          ...view,
          localAsn,
          error: error ?? '',
          since: timestampFromMs(Date.parse(since)),
          reportedAt: timestampFromMs(Date.parse(reported_at)),
        };
      });
      return { bgpPeers, nextCursor: page.next_cursor ?? '' };
    },
    listBgpRoutes: async (request) => {
      const page = await pageOfBgpRoutes(operations, filterOf(request), pageOfRequest(request));
      return { bgpRoutes: page.items.map(bgpRouteView), nextCursor: page.next_cursor ?? '' };
    },
  });
