// SPDX-License-Identifier: Apache-2.0
export { changeService } from './changes.ts';
export { type CallOptions, createRpcClient, type RpcClient } from './client.ts';
export { serviceDefinition } from './definition.ts';
export { onceOfCall } from './idempotency.ts';
export {
  type CallContext,
  createRpcServer,
  type Implementation,
  implement,
  type Registered,
  type RpcServer,
  type RpcServerOptions,
} from './server.ts';
export { fromStatus, toStatus } from './status.ts';
