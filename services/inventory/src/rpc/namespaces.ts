// SPDX-License-Identifier: Apache-2.0
/** weir.inventory.v1.NamespaceService */
import { checked } from '@weir/http';
import { NamespaceService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { implement, type Registered } from '@weir/rpc';
import { notFound, type Operations } from '../operations/context.ts';
import { deleteNamespace, putNamespace } from '../operations/namespaces.ts';
import { pageOfNamespaces } from '../operations/pages.ts';
import { NamespacePutSchema } from '../routes/inputs.ts';
import { getNamespace } from '../store/namespaces.ts';
import { namespaceMessage } from './messages.ts';
import { matchOf, pageOfRequest } from './requests.ts';

export const namespaceService = (operations: Operations): Registered =>
  implement(NamespaceService, {
    putNamespace: async ({ name, labels, ifRevision, ifAbsent }) => {
      const input = checked(NamespacePutSchema, { labels });
      const conditions = { ifMatch: matchOf(ifRevision), ifNoneMatch: ifAbsent ? '*' : undefined };
      return { namespace: namespaceMessage(await putNamespace(operations, name, input.labels, conditions)) };
    },
    getNamespace: async ({ name }) => {
      const row = await getNamespace(operations.db.kysely, name);
      if (!row) throw notFound('namespace', name);
      return { namespace: namespaceMessage(row) };
    },
    listNamespaces: async (request) => {
      const { items, next_cursor } = await pageOfNamespaces(operations, pageOfRequest(request));
      return { namespaces: items.map(namespaceMessage), nextCursor: next_cursor ?? '' };
    },
    deleteNamespace: async ({ name, ifRevision }) => {
      await deleteNamespace(operations, name, matchOf(ifRevision));
      return {};
    },
  });
