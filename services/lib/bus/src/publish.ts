// SPDX-License-Identifier: Apache-2.0
/** Publishing to a stream with acknowledgement. Resolving means that the broker has it, not that its disk has. */
import type { JetStreamClient } from '@nats-io/jetstream';
import { headers } from '@nats-io/nats-core';
import { weirError } from '@weir/errors';
import { counter } from '@weir/telemetry';
import type { StreamName } from './streams.ts';
import { STREAM } from './streams.ts';
import type { EventKind } from './subjects.ts';
import { traceHeaders } from './trace.ts';

export interface PublishResult {
  readonly seq: number;
  /** Already in the stream under this message id. */
  readonly duplicate: boolean;
}

export interface PublishOptions {
  readonly timeoutMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

const ACK_TIMEOUT_MS = 5_000;

export const publishTo = async (
  js: JetStreamClient,
  stream: StreamName,
  subject: string,
  bytes: Uint8Array,
  msgId: string,
  options: PublishOptions = {},
): Promise<PublishResult> => {
  const sent = headers();
  for (const [key, value] of Object.entries(options.headers ?? {})) sent.set(key, value);
  if (options.headers === undefined) traceHeaders(sent);
  let answer: { stream: string; seq: number; duplicate: boolean };
  try {
    answer = await js.publish(subject, bytes, {
      msgID: msgId,
      timeout: options.timeoutMs ?? ACK_TIMEOUT_MS,
      headers: sent,
    });
  } catch (cause) {
    counter('weir_bus_publish_failures_total').add(1, { stream });
    throw weirError('UNAVAILABLE', `the bus did not acknowledge a message on ${subject}`, {
      field: subject,
      fix: 'it is sent again under the same id; if it lasts, look at nats-server and its disk',
      retryAfterS: 1,
      cause,
    });
  }
  // An acknowledgement of another stream is none: anyone can have the broker send one to any inbox.
  if (answer.stream !== stream || !Number.isSafeInteger(answer.seq)) {
    counter('weir_bus_publish_failures_total').add(1, { stream });
    throw weirError('UNAVAILABLE', `${subject} was not acknowledged by ${stream}`, {
      field: subject,
      value: answer.stream,
    });
  }
  counter('weir_bus_published_total').add(1, { stream });
  return { seq: answer.seq, duplicate: answer.duplicate };
};

/**
 * Message id of a batch. A reader compares it with the batch and the subject: what another stream delivered or
 * the broker answered to a host's subject, as any client can make it do, has no such id.
 */
export const eventMessageId = (host: string, boot: bigint, firstSeq: bigint, kind: EventKind = 'flow'): string =>
  kind === 'flow' ? `${host}:${boot}:${firstSeq}` : `${host}:${boot}:${kind}:${firstSeq}`;

/** `msgId`: eventMessageId. */
export const publishEvents = (
  js: JetStreamClient,
  subject: string,
  bytes: Uint8Array,
  msgId: string,
  options?: PublishOptions,
): Promise<PublishResult> => publishTo(js, STREAM.EVENTS, subject, bytes, msgId, options);

/** What stands in a host's kernel. `msgId` must differ for each ack, such as host:boot:number. */
export const publishAck = (
  js: JetStreamClient,
  subject: string,
  bytes: Uint8Array,
  msgId: string,
  options?: PublishOptions,
): Promise<PublishResult> => publishTo(js, STREAM.ACKS, subject, bytes, msgId, options);
