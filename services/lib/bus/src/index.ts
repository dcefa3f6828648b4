// SPDX-License-Identifier: Apache-2.0

export { HEARTBEAT_INTERVAL_MS, type PublisherState, publishHeartbeat } from './config-heartbeat.ts';
export { type Arrival, type ConfigEntry, configEntry, type Position } from './config-state.ts';
export {
  type ConfigWatcher,
  type ConfigWatcherOptions,
  type ConfigWatcherStats,
  configWatcher,
} from './config-watcher.ts';
export { agentInbox, type Bus, type BusOptions, connectBus, serviceInbox } from './connect.ts';
export { type ConsumeOptions, type Consuming, consume } from './consume.ts';
export { createKeys, type Keys, keysOf, publicKeyOf } from './keys.ts';
export { readLease, type StoredLease, writeLease } from './leases.ts';
export {
  agentPermissions,
  type Permissions,
  PROBE,
  probePermissions,
  type Service,
  servicePermissions,
} from './permissions.ts';
export {
  eventMessageId,
  type PublishOptions,
  type PublishResult,
  publishAck,
  publishEvents,
  publishTo,
} from './publish.ts';
export { type AgentHandlers, callAgent, serveAgent } from './rpc.ts';
export { type NatsServerConfig, type NatsUser, natsServerConfig, storeConfig } from './server-config.ts';
export { type NatsProcess, type NatsProcessOptions, natsServerBinary, startNats } from './server-process.ts';
export { createSigner, type Signer, signDocument, type Verify, verifySigned } from './signing.ts';
export { hostSnapshotConsumer, readSnapshot, type SnapshotMessage, serviceSnapshotConsumer } from './snapshot.ts';
export {
  DUPLICATE_WINDOW_MS,
  ensureStreams,
  STREAM,
  type StreamLimits,
  type StreamName,
  streamConfigs,
} from './streams.ts';
export { type ParamNames, type Params, type Subject, subject } from './subject.ts';
export {
  CFG_ALL,
  CFG_HEARTBEAT_ALL,
  CONFIG_KINDS,
  type ConfigKind,
  configSubject,
  type EventKind,
  eventSubject,
  evtWildcard,
  PUBLISHER_OF,
  type Publisher,
  parseConfigSubject,
  rpcSubject,
  subjects,
} from './subjects.ts';
export { type NatsEvent, type SupervisedNats, type SuperviseOptions, superviseNats } from './supervisor.ts';
export { decodeToken, encodeToken } from './token.ts';
export { receivedTrace, traceContext, traceFields, traceHeaders } from './trace.ts';
