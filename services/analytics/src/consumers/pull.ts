// SPDX-License-Identifier: Apache-2.0
/**
 * Messages of a durable consumer, never more ahead of their turn than a number of bytes: hosts may send messages of
 * very different sizes, some of them with ill intent. (The client library's own reader counts either messages, or
 * bytes in a way that stalls once a request ends by its number of messages.)
 *
 * One request is open at a time; the broker's heartbeats tell that it still is. Any silence, reconnect or refusal
 * leads to a new request, so nothing short of `stop` ends the reading.
 */
import { createInbox, type Msg, type MsgHdrs, nanos } from '@nats-io/nats-core';
import type { NatsConnection, Subscription } from '@nats-io/transport-node';

export interface PullOptions {
  readonly nc: NatsConnection;
  readonly inboxPrefix: string;
  readonly stream: string;
  readonly consumer: string;
  readonly maxBytes: number;
  /** Called when the broker says that the consumer is not there; it is asked again after it resolved. */
  readonly onGone: () => Promise<void>;
}

/** One delivery of a message. */
export interface Pulled {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: MsgHdrs | undefined;
  readonly streamSeq: number;
  /** 1 the first time. */
  readonly deliveries: number;
  ack(): void;
  /** Deliver it again, after that time. */
  nak(delayMs?: number): void;
  /** Never deliver it again. */
  term(): void;
}

const BATCH = 1_000;
const EXPIRES_MS = 30_000;
const HEARTBEAT_MS = 2_000;
/** Two heartbeats missed. */
const SILENCE_MS = 2.5 * HEARTBEAT_MS;
const RETRY_MS = 250;
const STATUS = { HEARTBEAT: 100, CONFLICT: 409, NO_RESPONDERS: 503 } as const;
const ACK_TOKENS = 9;

/** $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>; longer with a domain. */
const parseReply = (reply: string): { deliveries: number; streamSeq: number } => {
  const tokens = reply.split('.');
  const at = tokens.length === ACK_TOKENS ? 4 : 6;
  return { deliveries: Number(tokens[at]), streamSeq: Number(tokens[at + 1]) };
};

export class Pull implements AsyncIterable<Pulled> {
  readonly #options: PullOptions;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #queue: Msg[] = [];
  #queuedBytes = 0;
  /** Messages that the open request may still bring; 0: none is open. */
  #left = 0;
  #timer: NodeJS.Timeout | undefined;
  #wake: (() => void) | undefined;
  #stopped = false;

  constructor(options: PullOptions) {
    this.#options = options;
    this.#inbox = createInbox(options.inboxPrefix);
    this.#subscription = options.nc.subscribe(this.#inbox, {
      callback: (error, msg) => {
        if (error) this.#again(RETRY_MS);
        else if (msg.reply?.startsWith('$JS.ACK.')) this.#receive(msg);
        else this.#status(msg);
      },
    });
    this.#request();
    void this.#followConnection();
  }

  /** A request that was open when the connection broke is gone. */
  async #followConnection(): Promise<void> {
    for await (const { type } of this.#options.nc.status()) {
      if (this.#stopped) return;
      if (type === 'reconnect') this.#again(0);
    }
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#subscription.unsubscribe();
    // Others may have them at once.
    for (const msg of this.#queue.splice(0)) this.#pulled(msg).nak();
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Pulled> {
    while (!this.#stopped) {
      const msg = this.#queue.shift();
      if (msg !== undefined) {
        this.#queuedBytes -= msg.data.length;
        if (this.#left === 0) this.#request();
        yield this.#pulled(msg);
        continue;
      }
      await new Promise<void>((done) => {
        this.#wake = done;
      });
      this.#wake = undefined;
    }
  }

  #pulled(msg: Msg): Pulled {
    const say = (text: string): void => {
      // On a closed connection: it comes again when nobody acknowledged it.
      if (!this.#options.nc.isClosed()) msg.respond(Buffer.from(text));
    };
    const { subject, data, headers } = msg;
    return {
      subject,
      data,
      headers,
      ...parseReply(msg.reply ?? ''),
      ack: () => say('+ACK'),
      nak: (delayMs) => say(delayMs === undefined ? '-NAK' : `-NAK ${JSON.stringify({ delay: nanos(delayMs) })}`),
      // Without a reason: servers before 2.10.4 do not understand one, and would deliver it again.
      term: () => say('+TERM'),
    };
  }

  #receive(msg: Msg): void {
    this.#queue.push(msg);
    this.#queuedBytes += msg.data.length;
    this.#left = Math.max(0, this.#left - 1);
    if (this.#left === 0) this.#request();
    else this.#watch();
    this.#wake?.();
  }

  #status(msg: Msg): void {
    const code = msg.headers?.code ?? 0;
    const text = msg.headers?.description ?? '';
    if (code === STATUS.HEARTBEAT) this.#watch();
    else if (code === STATUS.NO_RESPONDERS || (code === STATUS.CONFLICT && /deleted/i.test(text))) void this.#gone();
    // Room for no more: the next request goes out when there is. Anything else just ended the request.
    else this.#again(code === STATUS.CONFLICT ? RETRY_MS : 0);
  }

  async #gone(): Promise<void> {
    this.#left = 0;
    await this.#options.onGone().catch(() => {});
    this.#again(RETRY_MS);
  }

  /** The request has ended, or nobody knows what became of it. */
  #again(delayMs: number): void {
    this.#left = 0;
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => this.#request(), delayMs);
  }

  #watch(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#again(0), SILENCE_MS);
  }

  #request(): void {
    const { nc, stream, consumer, maxBytes } = this.#options;
    // Half of the room must be free: whatever comes then fits, and requests stay few.
    if (this.#stopped || nc.isClosed() || this.#left > 0 || this.#queuedBytes > maxBytes / 2) return;
    this.#left = BATCH;
    this.#watch();
    const request = {
      batch: BATCH,
      max_bytes: maxBytes - this.#queuedBytes,
      expires: nanos(EXPIRES_MS),
      idle_heartbeat: nanos(HEARTBEAT_MS),
    };
    nc.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`, JSON.stringify(request), { reply: this.#inbox });
  }
}
