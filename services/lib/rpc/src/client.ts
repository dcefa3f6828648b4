// SPDX-License-Identifier: Apache-2.0
/** A typed client of a descriptor: promises for answers, async iterables for streams, errors in the platform's terms. */
import type { DescMethod, DescService, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { injectTrace } from '@weir/telemetry';
import { type Input, methodDefinition, type Output, type StreamKeys, type UnaryKeys } from './definition.ts';
import { fromStatus } from './status.ts';

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly metadata?: Readonly<Record<string, string>>;
}

export type RpcClient<S extends DescService> = {
  readonly [K in UnaryKeys<S>]: (
    request: MessageInitShape<Input<S['method'][K & string]>>,
    options?: CallOptions,
  ) => Promise<MessageShape<Output<S['method'][K & string]>>>;
} & {
  readonly [K in StreamKeys<S>]: (
    request: MessageInitShape<Input<S['method'][K & string]>>,
    options?: CallOptions,
  ) => AsyncIterable<MessageShape<Output<S['method'][K & string]>>>;
} & { close(): void };

const TIMEOUT_MS = 10_000;
const ANSWER_MAX_BYTES = 64 * 1024 * 1024;
/** A peer that is gone without a word is noticed within 40 s, by streams too. */
const OPTIONS = {
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.max_receive_message_length': ANSWER_MAX_BYTES,
};

const metadataOf = (options: CallOptions): Metadata => {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(options.metadata ?? {})) metadata.set(key, value);
  injectTrace((key, value) => metadata.set(key, value));
  return metadata;
};

const unary = (client: Client, method: DescMethod) => {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
  return (request: unknown, options: CallOptions = {}): Promise<unknown> =>
    new Promise((done, failed) => {
      const deadline = Date.now() + (options.timeoutMs ?? TIMEOUT_MS);
      const call = client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadataOf(options),
        { deadline },
        (error, answer) => (error ? failed(fromStatus(error)) : done(answer)),
      );
      options.signal?.addEventListener('abort', () => call.cancel(), { once: true });
    });
};

const stream = (client: Client, method: DescMethod) => {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
  return async function* (request: unknown, options: CallOptions = {}): AsyncIterable<unknown> {
    const deadline = options.timeoutMs === undefined ? undefined : Date.now() + options.timeoutMs;
    const call = client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadataOf(options),
      { deadline },
    );
    const abort = (): void => call.cancel();
    options.signal?.addEventListener('abort', abort, { once: true });
    try {
      for await (const item of call) yield item;
    } catch (error) {
      if (!options.signal?.aborted) throw fromStatus(error as ServiceError);
    } finally {
      options.signal?.removeEventListener('abort', abort);
      call.cancel();
    }
  };
};

/** `address` is host:port. */
export const createRpcClient = <S extends DescService>(descriptor: S, address: string): RpcClient<S> => {
  const client = new Client(address, credentials.createInsecure(), OPTIONS);
  const methods = descriptor.methods.map((method) => [
    method.localName,
    method.methodKind === 'unary' ? unary(client, method) : stream(client, method),
  ]);
  return { ...Object.fromEntries(methods), close: () => client.close() } as RpcClient<S>;
};
