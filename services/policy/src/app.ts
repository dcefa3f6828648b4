// SPDX-License-Identifier: Apache-2.0
/**
 * Builds the policy service: documents, their versions, the numbers of their rules. Changes leave through the outbox;
 * what hosts hold of them comes in from the bus.
 */
import { connectBus, createSigner, ensureStreams, serviceInbox } from '@weir/bus';
import { ChangeFeed, runOutbox } from '@weir/bus/publishing';
import { createDb, migrate } from '@weir/db';
import { weirError } from '@weir/errors';
import { listen, type RunningService } from '@weir/http';
import { FlowService, RuleHitService } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { createRpcClient, createRpcServer } from '@weir/rpc';
import { counter, logger, observe, startTelemetry } from '@weir/telemetry';
import type { PolicyConfig } from './config.ts';
import { consumeAcks } from './consumers/acks.ts';
import { followFleet } from './consumers/fleet.ts';
import { createPolicyHttp } from './http.ts';
import { AckBook } from './operations/ack-book.ts';
import { Acknowledged, type Operations } from './operations/context.ts';
import { createParser } from './parsing/parser.ts';
import { policyRpc } from './rpc/index.ts';
import { listAcks } from './store/acks.ts';
import { savePublished } from './store/stages.ts';
import type { Tables } from './store/tables.ts';

export const SCHEMA = 'policy';
export const MIGRATIONS = new URL('../migrations', import.meta.url).pathname;

const FLEET_WAIT_MS = 2_000;

/** Rejects when `ready` takes too long. */
const within = async (ready: Promise<void>): Promise<void> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_done, failed) => {
    timer = setTimeout(
      () =>
        failed(
          weirError('UNAVAILABLE', 'the hosts of the fleet are not known yet', {
            fix: 'check that the bus and the inventory service run; try again',
            retryAfterS: 1,
          }),
        ),
      FLEET_WAIT_MS,
    );
  });
  try {
    await Promise.race([ready, late]);
  } finally {
    clearTimeout(timer);
  }
};

export const createApp = async (config: PolicyConfig): Promise<RunningService> => {
  const signer = createSigner(config.signingSeed);
  const telemetry = await startTelemetry({ service: SCHEMA });
  const log = logger(SCHEMA);
  const onError = (error: unknown, subject?: string): void =>
    log.error({ error, subject }, 'policy: a background task failed');
  const closers: (() => Promise<unknown> | unknown)[] = [() => telemetry.shutdown()];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    await migrate({ url: config.databaseUrl, schema: SCHEMA, dir: MIGRATIONS });
    const db = createDb<Tables>({ url: config.databaseUrl, schema: SCHEMA });
    closers.push(() => db.close());
    // Acks name revisions, not epochs: those of the epoch that ends would be taken for the new one's.
    if (config.newEpoch) await db.kysely.deleteFrom('host_acks').execute();
    if (config.newEpoch) await db.kysely.deleteFrom('host_stages').execute();
    const inboxPrefix = serviceInbox(SCHEMA);
    const bus = await connectBus({
      servers: config.natsUrl.split(','),
      name: SCHEMA,
      inboxPrefix,
      ...(config.natsSeed === undefined ? {} : { nkeySeed: config.natsSeed }),
      onStatus: (status) => {
        if (status.type === 'reconnect') counter('weir_bus_reconnects_total').add(1);
        if (['disconnect', 'reconnect', 'error'].includes(status.type)) log.warn({ status }, 'bus connection');
      },
    });
    closers.push(() => bus.close());
    await ensureStreams(bus.jsm);
    const outbox = runOutbox({
      db,
      bus,
      signer,
      publisher: 'policy',
      inboxPrefix,
      onError,
      onPublished: (published) => savePublished(db.kysely, published),
      onBehind: config.newEpoch ? 'new-epoch' : 'refuse',
    });
    closers.push(() => outbox.stop());
    const { fleet, watcher, stop } = followFleet(bus, config.trustedSigners, inboxPrefix, onError);
    closers.push(stop);
    const parser = createParser();
    closers.push(() => parser.close());
    const changes = new ChangeFeed({ db, onError });
    const analytics = createRpcClient(FlowService, config.analyticsGrpc);
    closers.push(() => analytics.close());
    const hits = createRpcClient(RuleHitService, config.analyticsGrpc);
    closers.push(() => hits.close());
    const operations: Operations = {
      db,
      fleet,
      parser,
      acknowledged: new Acknowledged(),
      ackBook: new AckBook(() => listAcks(db.kysely)),
      changes,
      ruleHits: (ids) => hits.batchGetRuleHits({ ids: [...ids] }),
      flowGroups: (request, signal) => analytics.streamFlowGroups(request, { signal }),
      fleetKnown: () => within(watcher.ready),
    };
    const acks = consumeAcks(bus, operations, onError);
    closers.push(() => acks.stop());
    closers.push(
      observe('weir_policy_documents', async (result) => {
        const { count } = await db.kysely
          .selectFrom('policies')
          .select(({ fn }) => fn.countAll<bigint>().as('count'))
          .executeTakeFirstOrThrow();
        result(Number(count));
      }),
    );
    const http = await createPolicyHttp(operations, {
      database: () => db.ping(),
      bus: () => bus.nc.flush(),
      fleet: operations.fleetKnown,
    });
    const rpc = await createRpcServer({ services: policyRpc(operations), host: config.host, port: config.grpcPort });
    closers.push(() => rpc.close());
    const url = await listen(http, { host: config.host, port: config.port });
    closers.push(() => http.close());
    // Streams are ended first: a door does not close while somebody stands in it.
    closers.push(() => changes.close());
    return { http: url, grpc: rpc.address, close };
  } catch (error) {
    await close();
    throw error;
  }
};
