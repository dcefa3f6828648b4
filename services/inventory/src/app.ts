// SPDX-License-Identifier: Apache-2.0
/**
 * Builds the inventory service: hosts, workloads, namespaces, identities, addresses. Its changes leave through the
 * outbox; what hosts say of themselves comes in from the bus.
 */
import { connectBus, createSigner, ensureStreams, runOutbox, serviceInbox } from '@weir/bus';
import { createDb, migrate } from '@weir/db';
import { listen, type RunningService } from '@weir/http';
import { createRpcServer } from '@weir/rpc';
import { logger, startTelemetry } from '@weir/telemetry';
import type { InventoryConfig } from './config.ts';
import { consumeAcks } from './consumers/acks.ts';
import { consumeHeartbeats } from './consumers/heartbeats.ts';
import { parsePools } from './domain/pools.ts';
import { createInventoryHttp } from './http.ts';
import { inventoryRpc } from './rpc/index.ts';
import type { Tables } from './store/tables.ts';

export const SCHEMA = 'inventory';
export const MIGRATIONS = new URL('../migrations', import.meta.url).pathname;

export const createApp = async (config: InventoryConfig): Promise<RunningService> => {
  const pools = parsePools(config.pool4, config.pool6);
  const telemetry = await startTelemetry({ service: SCHEMA });
  const log = logger(SCHEMA);
  const onError = (error: unknown): void => log.error({ error }, 'inventory: a background task failed');
  await migrate({ url: config.databaseUrl, schema: SCHEMA, dir: MIGRATIONS });
  const db = createDb<Tables>({ url: config.databaseUrl, schema: SCHEMA });
  const inboxPrefix = serviceInbox(SCHEMA);
  const bus = await connectBus({
    servers: config.natsUrl.split(','),
    name: SCHEMA,
    inboxPrefix,
    ...(config.natsSeed === undefined ? {} : { nkeySeed: config.natsSeed }),
  });
  await ensureStreams(bus.jsm);
  const outbox = runOutbox({
    db,
    bus,
    signer: createSigner(config.signingSeed),
    publisher: 'inventory',
    inboxPrefix,
    onError,
  });
  const consumers = [consumeHeartbeats(bus, db, onError), consumeAcks(bus, db, onError)];
  const operations = { db, pools };
  const http = await createInventoryHttp(operations, {
    database: () => db.ping(),
    bus: async () => {
      await bus.nc.flush();
    },
  });
  const rpc = await createRpcServer({ services: inventoryRpc(operations), host: config.host, port: config.grpcPort });
  const url = await listen(http, { host: config.host, port: config.port });
  return {
    http: url,
    grpc: rpc.address,
    close: async () => {
      await http.close();
      await rpc.close();
      for (const consumer of consumers) await consumer.stop();
      await outbox.stop();
      await bus.close();
      await db.close();
      await telemetry.shutdown();
    },
  };
};
