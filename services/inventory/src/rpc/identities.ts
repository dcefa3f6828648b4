// SPDX-License-Identifier: Apache-2.0
/** weir.inventory.v1.IdentityService */
import { IdentityService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { implement, type Registered } from '@weir/rpc';
import type { Operations } from '../operations/context.ts';
import { findIdentity } from '../operations/identities.ts';
import { pageOfIdentities } from '../operations/pages.ts';
import { pageOfRequest } from './requests.ts';

export const identityService = (operations: Operations): Registered =>
  implement(IdentityService, {
    getIdentity: async ({ identity }) => ({ identity: await findIdentity(operations, identity) }),
    listIdentities: async (request) => {
      const { items, next_cursor } = await pageOfIdentities(operations, request.labels, pageOfRequest(request));
      return { identities: items, nextCursor: next_cursor ?? '' };
    },
  });
