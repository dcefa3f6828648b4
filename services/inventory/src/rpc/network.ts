// SPDX-License-Identifier: Apache-2.0
/** weir.inventory.v1.NetworkService */
import { create } from '@bufbuild/protobuf';
import { checked } from '@weir/http';
import { NetworkSchema } from '@weir/proto/weir/bus/v1/config_pb.js';
import { NetworkService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { implement, type Registered } from '@weir/rpc';
import { NetworkPutSchema, type NetworkSpec } from '../domain/network.ts';
import { messageOf, settingsOf } from '../domain/wire.ts';
import type { Operations } from '../operations/context.ts';
import { type Network, putNetwork, readNetwork } from '../operations/network.ts';
import { matchOf } from './requests.ts';

const answer = ({ spec, revision }: Network) => ({ network: messageOf(NetworkSchema, spec), revision });

export const networkService = (operations: Operations): Registered =>
  implement(NetworkService, {
    getNetwork: async () => answer(await readNetwork(operations.db.kysely)),
    putNetwork: async ({ network = create(NetworkSchema), ifRevision }) => {
      const spec = checked(NetworkPutSchema, settingsOf(NetworkSchema, network)) as NetworkSpec;
      return answer(await putNetwork(operations, spec, matchOf(ifRevision)));
    },
  });
