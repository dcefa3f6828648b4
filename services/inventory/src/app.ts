// SPDX-License-Identifier: Apache-2.0
/**
 * Builds the inventory service: hosts, workloads, namespaces, identities, addresses. Its changes leave through the
 * outbox; what hosts say of themselves comes in from the bus. What was begun ends in the opposite order, also when
 * a later step fails.
 */
import { callAgent, connectBus, createSigner, ensureStreams, readLease, serviceInbox } from '@weir/bus';
import { ChangeFeed, runOutbox } from '@weir/bus/publishing';
import { createDb, migrate } from '@weir/db';
import { listen, type RunningService } from '@weir/http';
import { createRpcServer } from '@weir/rpc';
import { logger, startTelemetry } from '@weir/telemetry';
import type { InventoryConfig } from './config.ts';
import { consumeAcks } from './consumers/acks.ts';
import { consumeChecks } from './consumers/checks.ts';
import { consumeHealth } from './consumers/health.ts';
import { consumeHeartbeats } from './consumers/heartbeats.ts';
import { watchLiveness } from './consumers/liveness.ts';
import { watchProbers } from './consumers/probers.ts';
import { checkControlAddresses, controlAddresses } from './control-addresses.ts';
import { parsePools } from './domain/pools.ts';
import { every } from './every.ts';
import { createInventoryHttp } from './http.ts';
import { measureInventory } from './measure.ts';
import { admitConnected } from './operations/service-backends.ts';
import { assignPending } from './operations/services.ts';
import { ensureDefaultPool, nameHealthEndpoints, reclaimBlocks } from './operations/upkeep.ts';
import { inventoryRpc } from './rpc/index.ts';
import type { Tables } from './store/tables.ts';

/** How often empty blocks are looked for. */
const RECLAIM_MS = 30_000;

export const SCHEMA = 'inventory';
export const MIGRATIONS = new URL('../migrations', import.meta.url).pathname;

const build = async (config: InventoryConfig, ending: AsyncDisposableStack): Promise<Omit<RunningService, 'close'>> => {
  const pools = parsePools(config.pool4, config.pool6);
  checkControlAddresses(config.controlAddresses);
  const telemetry = await startTelemetry({ service: SCHEMA });
  ending.defer(() => telemetry.shutdown());
  const log = logger(SCHEMA);
  const onError = (error: unknown): void => log.error({ error }, 'inventory: a background task failed');

  await migrate({ url: config.databaseUrl, schema: SCHEMA, dir: MIGRATIONS });
  const db = createDb<Tables>({ url: config.databaseUrl, schema: SCHEMA });
  ending.defer(() => db.close());
  const inboxPrefix = serviceInbox(SCHEMA);
  const bus = await connectBus({
    servers: config.natsUrl.split(','),
    name: SCHEMA,
    inboxPrefix,
    ...(config.natsSeed === undefined ? {} : { nkeySeed: config.natsSeed }),
  });
  ending.defer(() => bus.close());
  await ensureStreams(bus.jsm);
  const outbox = runOutbox({
    db,
    bus,
    signer: createSigner(config.signingSeed),
    publisher: 'inventory',
    inboxPrefix,
    onError,
    ...(config.newEpoch ? { onBehind: 'new-epoch' as const } : {}),
  });
  ending.defer(() => outbox.stop());
  const consumers = [
    consumeHeartbeats(bus, db, onError),
    consumeAcks(bus, db, onError),
    consumeHealth(bus, db, onError),
    consumeChecks(bus, db, onError),
    watchLiveness(db, onError),
    watchProbers(bus, db, onError),
  ];
  for (const consumer of consumers) ending.defer(() => consumer.stop());

  const inForce = await ensureDefaultPool(db, pools);
  if (pools.cidrs.some((cidr) => !inForce.includes(cidr))) {
    log.warn(
      { set: pools.cidrs, inForce },
      'the pool `default` is no longer made of the settings: change it with PUT /v1/pools/default',
    );
  }
  await nameHealthEndpoints(db);
  const reclaiming = every(RECLAIM_MS, () => reclaimBlocks(db, config.blockGraceS), onError);
  ending.defer(() => reclaiming.stop());
  const assigning = every(RECLAIM_MS, () => assignPending(db).then(() => admitConnected(db)), onError);
  ending.defer(() => assigning.stop());

  const changes = new ChangeFeed({ db, onError });
  const servers = [...config.natsUrl.split(','), config.databaseUrl];
  const operations = {
    ...{ db, changes, controlAddresses: controlAddresses(servers, config.controlAddresses) },
    readLease: (service: string) => readLease(bus, service),
    callAgent: (host: string, verb: string, body: Uint8Array, timeoutMs: number) =>
      callAgent(bus.nc, host, verb, body, timeoutMs),
  };
  ending.defer(measureInventory(operations));
  const rpc = await createRpcServer({ services: inventoryRpc(operations), host: config.host, port: config.grpcPort });
  ending.defer(() => rpc.close());
  const http = await createInventoryHttp(operations, {
    database: () => db.ping(),
    bus: () => bus.nc.flush(),
  });
  ending.defer(() => http.close());
  // Streams are ended first: a door does not close while somebody stands in it.
  ending.defer(() => changes.close());
  return { http: await listen(http, { host: config.host, port: config.port }), grpc: rpc.address };
};

export const createApp = async (config: InventoryConfig): Promise<RunningService> => {
  const ending = new AsyncDisposableStack();
  try {
    return { ...(await build(config, ending)), close: () => ending.disposeAsync() };
  } catch (error) {
    await ending.disposeAsync();
    throw error;
  }
};
