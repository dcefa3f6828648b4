// SPDX-License-Identifier: Apache-2.0
/** weir.inventory.v1.IdentityService */
import { decodeCursor } from '@weir/http';
import { IdentityService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { implement, type Registered } from '@weir/rpc';
import { Type } from 'typebox';
import type { Operations } from '../operations/context.ts';
import { findIdentity, pageOfIdentities } from '../operations/identities.ts';
import { pageOfRequest } from './requests.ts';

export const identityService = (operations: Operations): Registered =>
  implement(IdentityService, {
    getIdentity: async ({ identity }) => ({ identity: await findIdentity(operations, identity) }),
    listIdentities: async (request) => {
      const { limit, cursor } = pageOfRequest(request);
      const after = decodeCursor(Type.Integer(), cursor) ?? -1;
      const { items, next_cursor } = await pageOfIdentities(operations, after, limit);
      return { identities: items, nextCursor: next_cursor ?? '' };
    },
  });
