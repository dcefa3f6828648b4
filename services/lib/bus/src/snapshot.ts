// SPDX-License-Identifier: Apache-2.0
/**
 * Reads the last message of every configuration subject through a pull consumer that exists only meanwhile, so
 * that the number of consumers does not grow with the hosts. A host's consumer has a fixed name: its credential
 * allows exactly the calls made here and no other.
 */
import {
  AckPolicy,
  DeliverPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
} from '@nats-io/jetstream';
import { createInbox, type Msg, type MsgHdrs, nanos, nuid } from '@nats-io/nats-core';
import type { NatsConnection } from '@nats-io/transport-node';
import { weirError } from '@weir/errors';
import { STREAM } from './streams.ts';
import { CFG_ALL } from './subjects.ts';

export interface SnapshotMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  /** When the broker stored it. */
  readonly timeMs: number;
  readonly headers: MsgHdrs | undefined;
}

export interface SnapshotOptions {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly inboxPrefix: string;
  /** Name of the consumer. */
  readonly consumer: string;
  readonly signal?: AbortSignal;
}

/** Consumers of hosts and of services cannot have the same name: a host id has no capitals. */
export const hostSnapshotConsumer = (host: string): string => `snap-${host}`;
export const serviceSnapshotConsumer = (service: string): string => `snap-SVC-${service}-${nuid.next()}`;

const BATCH = 500;
const QUIET_MS = 2_000;
const QUIET_LIMIT = 3;
/** A consumer whose reader died goes by itself. */
const INACTIVE_MS = 30_000;
/** Nothing is left. */
const STATUS_NO_MESSAGES = 404;
/** What there was has been sent, and it was less than a batch. */
const STATUS_TIMEOUT = 408;
/**
 * Answers of that kind without a message, in a row, which mean that nothing is left. A message that is replaced
 * between the making of the consumer and its delivery stays in the broker's count of what is pending (2.9), so 404
 * never comes.
 */
const EMPTY_LIMIT = 16;
/** $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>; longer with a domain. */
const ACK_TOKENS = 9;

const storedMs = (reply: string): number => {
  const tokens = reply.split('.');
  // With domain and account two tokens come before the stream and a random one at the end.
  const end = tokens.length === ACK_TOKENS ? tokens.length : tokens.length - 1;
  return Number(BigInt(tokens[end - 2] ?? '0') / 1_000_000n);
};

const dropConsumer = async (jsm: JetStreamManager, consumer: string): Promise<void> => {
  try {
    await jsm.consumers.delete(STREAM.CONFIG, consumer);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.ConsumerNotFound) return;
    throw error;
  }
};

interface Made {
  /** What there was when the consumer was made. */
  readonly pending: number;
  /** By the broker's clock, milliseconds since 1970. */
  readonly madeMs: number;
  /** When it was asked for, by performance.now(): not after it was made. */
  readonly askedAt: number;
}

/**
 * Pulls batch after batch. In place of a message that was replaced meanwhile comes whatever is behind it, so what
 * replaced them is waited for too: until a message is younger than the moment when as many were there as there
 * had been, or there is none. Not until there is none alone: while others publish there always is one.
 */
const pullAll = (
  { nc, consumer, inboxPrefix, signal }: SnapshotOptions,
  { pending, madeMs, askedAt }: Made,
): Promise<SnapshotMessage[]> =>
  new Promise((resolve, reject) => {
    const messages: SnapshotMessage[] = [];
    const inbox = createInbox(inboxPrefix);
    let requests = 0;
    let inBatch = 0;
    let empty = 0;
    let quiet = 0;
    let youngestMs = Number.POSITIVE_INFINITY;
    let timer: NodeJS.Timeout;

    const end = (error?: unknown): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', aborted);
      subscription.unsubscribe();
      if (error === undefined) resolve(messages);
      else reject(error);
    };
    const aborted = (): void => end(signal?.reason);
    const armTimer = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        quiet += 1;
        if (quiet > QUIET_LIMIT) end(weirError('UNAVAILABLE', 'the bus stopped sending the configuration snapshot'));
        else request();
      }, QUIET_MS);
    };
    const request = (): void => {
      inBatch = 0;
      requests += 1;
      armTimer();
      try {
        nc.publish(
          `$JS.API.CONSUMER.MSG.NEXT.${STREAM.CONFIG}.${consumer}`,
          JSON.stringify({ batch: BATCH, no_wait: true }),
          { reply: `${inbox}.${requests}` },
        );
      } catch (error) {
        end(error);
      }
    };
    const status = (msg: Msg): void => {
      // Messages come with their own subject, statuses with that of their request.
      if (msg.subject !== `${inbox}.${requests}`) return;
      const code = msg.headers?.code ?? 0;
      if (code === STATUS_NO_MESSAGES) end();
      else if (code !== STATUS_TIMEOUT)
        end(weirError('UNAVAILABLE', `the bus ended the configuration snapshot: ${code} ${msg.headers?.description}`));
      else {
        empty = inBatch === 0 ? empty + 1 : 0;
        if (empty === EMPTY_LIMIT || messages.length >= pending) end();
        else request();
      }
    };
    const subscription = nc.subscribe(`${inbox}.*`, {
      callback: (error, msg) => {
        if (error) return end(error);
        if (msg.reply === undefined || !msg.reply.startsWith('$JS.ACK.')) return status(msg);
        quiet = 0;
        const timeMs = storedMs(msg.reply);
        messages.push({ subject: msg.subject, data: msg.data, timeMs, headers: msg.headers });
        inBatch += 1;
        if (timeMs > youngestMs) return end();
        if (messages.length === pending) youngestMs = madeMs + Math.ceil(performance.now() - askedAt);
        if (inBatch === BATCH) request();
      },
    });
    signal?.addEventListener('abort', aborted);
    request();
  });

/** Everything that was published before this resolves is in it or was delivered to a core subscription made before. */
export const readSnapshot = async (options: SnapshotOptions): Promise<SnapshotMessage[]> => {
  const { jsm, consumer } = options;
  // One left by a reader that died would give only what is new to it.
  await dropConsumer(jsm, consumer);
  const askedAt = performance.now();
  const { num_pending: pending, created } = await jsm.consumers.add(STREAM.CONFIG, {
    name: consumer,
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.LastPerSubject,
    // The broker wants one; it becomes part of the call's subject.
    filter_subject: CFG_ALL,
    inactive_threshold: nanos(INACTIVE_MS),
    mem_storage: true,
    max_waiting: 4,
  });
  try {
    return pending === 0 ? [] : await pullAll(options, { pending, madeMs: Date.parse(created), askedAt });
  } finally {
    await dropConsumer(jsm, consumer).catch(() => {});
  }
};
