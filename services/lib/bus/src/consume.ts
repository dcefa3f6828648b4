// SPDX-License-Identifier: Apache-2.0
/**
 * A durable pull consumer that the replicas of a service share. What has arrived is handled together and acknowledged
 * after the handler is through, so a crash repeats it: handlers are idempotent. A batch that fails is tried one by
 * one; a message that keeps failing goes to the dead letters. A store that is away is nobody's fault: all wait.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AckPolicy, type ConsumerMessages, DeliverPolicy, type JsMsg } from '@nats-io/jetstream';
import { nanos } from '@nats-io/nats-core';
import { isWeirError } from '@weir/errors';
import type { Bus } from './connect.ts';
import type { StreamName } from './streams.ts';

export interface ConsumeOptions {
  readonly bus: Pick<Bus, 'js' | 'jsm'>;
  readonly stream: StreamName;
  /** Same for all replicas; permissions name it. */
  readonly durable: string;
  /** Most messages handled together. */
  readonly batch?: number;
  readonly maxAttempts?: number;
  /** All or nothing. WeirError UNAVAILABLE: later again, as often as it takes. */
  readonly handle: (messages: readonly JsMsg[]) => Promise<void>;
  /** After `maxAttempts`; once it resolves the message is not delivered again. */
  readonly deadLetter?: (message: JsMsg, error: unknown) => Promise<void>;
  readonly onError?: (error: unknown) => void;
}

export interface Consuming {
  stop(): Promise<void>;
}

const BATCH = 100;
const MAX_ATTEMPTS = 5;
const ACK_WAIT_MS = 30_000;
const MAX_ACK_PENDING = 1_000;
const RETRY_MS = 1_000;
const BACKOFF_MS = [100, 500, 2_000, 10_000];

const GONE = new Set(['consumer_not_found', 'stream_not_found', 'consumer_deleted']);

export const consume = (options: ConsumeOptions): Consuming => {
  const { bus, stream, durable, handle } = options;
  const batch = options.batch ?? BATCH;
  const maxAttempts = options.maxAttempts ?? MAX_ATTEMPTS;
  const onError = options.onError ?? (() => {});
  const stopping = new AbortController();
  const { signal } = stopping;
  /** Failures that were the message's own, by stream sequence. */
  const attempts = new Map<number, number>();
  let current: ConsumerMessages | undefined;

  const handleOne = async (message: JsMsg): Promise<void> => {
    try {
      await handle([message]);
      attempts.delete(message.seq);
      message.ack();
    } catch (error) {
      if (isWeirError(error) && error.code === 'UNAVAILABLE') throw error;
      onError(error);
      const failures = (attempts.get(message.seq) ?? 0) + 1;
      attempts.set(message.seq, failures);
      if (failures < maxAttempts) return message.nak(BACKOFF_MS[Math.min(failures, BACKOFF_MS.length) - 1] ?? RETRY_MS);
      await options.deadLetter?.(message, error);
      attempts.delete(message.seq);
      message.term();
    }
  };

  const handleBatch = async (messages: readonly JsMsg[]): Promise<void> => {
    let left = messages;
    try {
      if (messages.length > 1) {
        try {
          await handle(messages);
          for (const message of messages) message.ack();
          return;
        } catch (error) {
          if (isWeirError(error) && error.code === 'UNAVAILABLE') throw error;
        }
      }
      for (const [index, message] of messages.entries()) {
        left = messages.slice(index);
        await handleOne(message);
      }
    } catch (error) {
      onError(error);
      for (const message of left) message.nak(RETRY_MS);
      await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
    }
  };

  const attach = async (): Promise<ConsumerMessages> => {
    await bus.jsm.consumers.add(stream, {
      durable_name: durable,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      ack_wait: nanos(ACK_WAIT_MS),
      max_ack_pending: MAX_ACK_PENDING,
    });
    const consumer = await bus.js.consumers.get(stream, durable);
    const messages = await consumer.consume({ max_messages: batch * 2 });
    void (async () => {
      // The broker came back without the consumer: make it again.
      for await (const status of messages.status()) if (GONE.has(status.type)) messages.stop();
    })();
    return messages;
  };

  const read = async (messages: ConsumerMessages): Promise<void> => {
    const arrived: JsMsg[] = [];
    let working: Promise<void> | undefined;
    const work = async (): Promise<void> => {
      while (arrived.length > 0 && !signal.aborted) await handleBatch(arrived.splice(0, batch));
    };
    for await (const message of messages) {
      arrived.push(message);
      working ??= work().finally(() => {
        working = undefined;
      });
    }
    await working;
  };

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        current = await attach();
        // Stopped meanwhile, when there was nothing to stop yet.
        if (signal.aborted) current.stop();
        else await read(current);
      } catch (error) {
        if (!signal.aborted) onError(error);
      }
      if (!signal.aborted) await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
    }
  };

  const running = run();
  return {
    stop: async () => {
      stopping.abort();
      current?.stop();
      await running;
    },
  };
};
