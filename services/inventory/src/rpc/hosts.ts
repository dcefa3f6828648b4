// SPDX-License-Identifier: Apache-2.0
/** weir.inventory.v1.HostService */
import { checked } from '@weir/http';
import { HostService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { implement, onceOfCall, type Registered } from '@weir/rpc';
import { notFound, type Operations } from '../operations/context.ts';
import { createHost, deleteHost, updateHost } from '../operations/hosts.ts';
import { pageOfHosts } from '../operations/pages.ts';
import { HostCreateSchema, HostPatchSchema } from '../routes/inputs.ts';
import { getHost } from '../store/hosts.ts';
import { hostMessage } from './messages.ts';
import { compact, given, matchOf, pageOfRequest } from './requests.ts';

/** Absent: as it is. Empty: none. */
const changed = (address: string | undefined): string | null | undefined => (address === '' ? null : address);

export const hostService = (operations: Operations): Registered =>
  implement(HostService, {
    createHost: async ({ name, labels, underlayIp4, underlayIp6 }, call) => {
      const input = compact({ name, labels, underlay_ip4: given(underlayIp4), underlay_ip6: given(underlayIp6) });
      return { host: hostMessage(await createHost(operations, checked(HostCreateSchema, input), onceOfCall(call))) };
    },
    getHost: async ({ id }) => {
      const row = await getHost(operations.db.kysely, id);
      if (!row) throw notFound('host', id);
      return { host: hostMessage(row) };
    },
    listHosts: async (request) => {
      const { items, next_cursor } = await pageOfHosts(operations, pageOfRequest(request));
      return { hosts: items.map(hostMessage), nextCursor: next_cursor ?? '' };
    },
    updateHost: async ({ id, labels, underlayIp4, underlayIp6, ifRevision }) => {
      const patch = compact({
        labels: labels?.labels,
        underlay_ip4: changed(underlayIp4),
        underlay_ip6: changed(underlayIp6),
      });
      const row = await updateHost(operations, id, checked(HostPatchSchema, patch), matchOf(ifRevision));
      return { host: hostMessage(row) };
    },
    deleteHost: async ({ id, ifRevision }) => {
      await deleteHost(operations, id, matchOf(ifRevision));
      return {};
    },
  });
