// SPDX-License-Identifier: Apache-2.0
/**
 * A connection to the bus that is never given up. The client's defaults stop after ten attempts and need four
 * minutes to see a dead peer; here it reconnects for ever, with jitter, and notices within 20 to 30 s.
 */
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { AuthorizationError, nkeyAuthenticator } from '@nats-io/nats-core';
import { connect, type NatsConnection, type Status, type TlsOptions } from '@nats-io/transport-node';
import { weirError } from '@weir/errors';

export interface BusOptions {
  readonly servers: string | readonly string[];
  /** User seed (SU...). */
  readonly nkeySeed?: string;
  /** Shown by the server's monitoring. */
  readonly name: string;
  /** `agentInbox(host)` or `serviceInbox(name)`: nobody else may read it. */
  readonly inboxPrefix?: string;
  /** Keep trying when no server answers at first, as an agent does. Otherwise UNAVAILABLE after `connectTimeoutMs`. */
  readonly waitForServer?: boolean;
  readonly connectTimeoutMs?: number;
  readonly tls?: TlsOptions;
  /** Disconnects, reconnects, refused permissions: for logs and metrics. */
  readonly onStatus?: (status: Status) => void;
}

export interface Bus {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  /** Sends what is queued, then closes. */
  close(): Promise<void>;
}

/** 10 s and two misses: a half-open connection is seen within 30 s. */
const PING_INTERVAL_MS = 10_000;
const MAX_PING_OUT = 2;
const RECONNECT_WAIT_MS = 500;
/** Spreads a fleet that lost its server at once. */
const RECONNECT_JITTER_MS = 1_500;
const CONNECT_TIMEOUT_MS = 5_000;
const DRAIN_TIMEOUT_MS = 2_000;

/** Inboxes of different classes of users cannot collide: a host id is a DNS label, so never has capitals. */
export const agentInbox = (host: string): string => `_INBOX_${host}`;
export const serviceInbox = (service: string): string => `_INBOX_SVC_${service}`;

const failure = (error: unknown, servers: string | readonly string[]): Error => {
  const where = [servers].flat().join(', ');
  if (error instanceof AuthorizationError) {
    return weirError('UNAUTHENTICATED', `the bus at ${where} refused the credential`, {
      field: 'nkeySeed',
      fix: 'use a seed whose public key is in the server configuration',
      cause: error,
    });
  }
  return weirError('UNAVAILABLE', `the bus at ${where} is not reachable`, {
    field: 'servers',
    value: where,
    fix: 'start nats-server or correct the URL',
    retryAfterS: 1,
    cause: error,
  });
};

const watchStatus = async (nc: NatsConnection, onStatus: (status: Status) => void): Promise<void> => {
  for await (const status of nc.status()) onStatus(status);
};

export const connectBus = async (options: BusOptions): Promise<Bus> => {
  const seed = options.nkeySeed;
  let nc: NatsConnection;
  try {
    nc = await connect({
      servers: [options.servers].flat(),
      name: options.name,
      ...(seed === undefined ? {} : { authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)) }),
      ...(options.inboxPrefix === undefined ? {} : { inboxPrefix: options.inboxPrefix }),
      ...(options.tls === undefined ? {} : { tls: options.tls }),
      timeout: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_WAIT_MS,
      reconnectJitter: RECONNECT_JITTER_MS,
      reconnectJitterTLS: RECONNECT_JITTER_MS,
      // A server that restarts without our user for a moment must not end the connection for ever.
      ignoreAuthErrorAbort: true,
      pingInterval: PING_INTERVAL_MS,
      maxPingOut: MAX_PING_OUT,
      waitOnFirstConnect: options.waitForServer ?? false,
    });
  } catch (error) {
    throw failure(error, options.servers);
  }
  void watchStatus(nc, options.onStatus ?? (() => {}));
  return {
    nc,
    js: jetstream(nc),
    jsm: await jetstreamManager(nc, { checkAPI: false }),
    close: async () => {
      if (nc.isClosed()) return;
      const timer = setTimeout(() => void nc.close(), DRAIN_TIMEOUT_MS);
      try {
        await nc.drain();
      } catch {
        await nc.close();
      } finally {
        clearTimeout(timer);
      }
    },
  };
};
