// SPDX-License-Identifier: Apache-2.0
/** A gRPC server of descriptors and plain async functions, with health (grpc.health.v1) and reflection. */
import { once } from 'node:events';
import type { DescService, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Metadata,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { toWeirError, weirError } from '@weir/errors';
import {
  type Context,
  context,
  extractTrace,
  histogram,
  logger,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  tracer,
} from '@weir/telemetry';
import { HealthImplementation } from 'grpc-health-check';
import {
  type Input,
  type Output,
  type StreamKeys,
  serviceDefinition,
  type UnaryKeys,
  Unreadable,
} from './definition.ts';
import { createRateLimit, withinDeadline } from './limits.ts';
import { reflectionPackage } from './reflection.ts';
import { toStatus } from './status.ts';

export interface CallContext {
  readonly metadata: Metadata;
  /** Aborted when the caller went away or its time is over. */
  readonly signal: AbortSignal;
  readonly peer: string;
}

/** One function per method, by its name in lower camel case. */
export type Implementation<S extends DescService> = {
  readonly [K in UnaryKeys<S>]: (
    request: MessageShape<Input<S['method'][K & string]>>,
    call: CallContext,
  ) => Promise<MessageInitShape<Output<S['method'][K & string]>>>;
} & {
  readonly [K in StreamKeys<S>]: (
    request: MessageShape<Input<S['method'][K & string]>>,
    call: CallContext,
  ) => AsyncIterable<MessageInitShape<Output<S['method'][K & string]>>>;
};

export interface Registered {
  readonly descriptor: DescService;
  // biome-ignore lint/suspicious/noExplicitAny: typed where it was made, by implement()
  readonly implementation: Readonly<Record<string, (request: any, call: CallContext) => any>>;
}

/** Joins a descriptor to its functions; the compiler checks that all are there and fit. */
export const implement = <S extends DescService>(descriptor: S, implementation: Implementation<S>): Registered => ({
  descriptor,
  implementation: implementation as unknown as Registered['implementation'],
});

export interface RpcServerOptions {
  readonly services: readonly Registered[];
  readonly host?: string;
  /** 0: any free one. */
  readonly port: number;
  /** A unix socket instead; whoever may open it may call. */
  readonly socket?: string;
  /** Calls per address in ten seconds; more get RATE_LIMITED. */
  readonly callsPerWindow?: number;
  /** Time for a call whose caller set none. */
  readonly deadlineMs?: number;
}

export interface RpcServer {
  /** host:port */
  readonly address: string;
  /** What health says of all services. */
  setServing(serving: boolean): void;
  /** Tells streams why they end; lets running calls end, for two seconds. */
  close(): Promise<void>;
}

const MESSAGE_MAX_BYTES = 4 * 1024 * 1024;
/** A page of a thousand policies, each with its document. */
const ANSWER_MAX_BYTES = 64 * 1024 * 1024;
/** Per connection: more calls wait for those before. */
const STREAMS_MAX = 256;
const CLOSE_GRACE_MS = 2_000;

interface Incoming {
  readonly metadata: Metadata;
  readonly cancelled: boolean;
  on(event: 'cancelled', listener: () => void): unknown;
  getPeer(): string;
}

interface Calling extends CallContext {
  stop(): void;
}

const callContext = (call: Incoming): Calling => {
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  if (call.cancelled) stop();
  call.on('cancelled', stop);
  return { metadata: call.metadata, signal: controller.signal, peer: call.getPeer(), stop };
};

/** What all calls of a server share. */
interface Shared {
  readonly address: () => string;
  readonly admit: (peer: string) => void;
  readonly deadlineMs: number | undefined;
  /** Aborted when the server ends. */
  readonly ending: AbortSignal;
}

const readable = (request: unknown): unknown => {
  if (request instanceof Unreadable) throw request.error;
  return request;
};

interface Measured {
  readonly context: Context;
  end(error?: unknown): void;
}

const messageOf = (cause: unknown): string | undefined => (cause instanceof Error ? cause.message : undefined);

const measure = (path: string, metadata: Metadata, address: string): Measured => {
  const parent = extractTrace((key) => {
    const value = metadata.get(key)[0];
    return typeof value === 'string' ? value : undefined;
  });
  const [, service = '', method = ''] = path.split('/');
  const span: Span = tracer('rpc').startSpan(
    path.slice(1),
    {
      kind: SpanKind.SERVER,
      attributes: { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': method, 'server.address': address },
    },
    parent,
  );
  const start = performance.now();
  return {
    context: trace.setSpan(parent, span),
    end: (thrown) => {
      const error = thrown === undefined ? undefined : toWeirError(thrown);
      histogram('weir_rpc_request_duration_seconds').record((performance.now() - start) / 1_000, {
        method: path,
        code: error?.code ?? 'OK',
      });
      span.setAttribute('rpc.grpc.status_code', error?.grpcStatus ?? 0);
      if (error !== undefined && error.status >= 500) {
        span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
        const facts = { code: error.code, method: path };
        // Away for a moment is no fault of ours: no stack.
        if (error.code === 'UNAVAILABLE' || error.code === 'DEADLINE_EXCEEDED')
          logger('rpc').warn({ ...facts, cause: messageOf(error.facts.cause) }, error.message);
        else logger('rpc').error({ ...facts, error: error.facts.cause ?? error }, error.message);
      }
      span.end();
    },
  };
};

const unary =
  (
    path: string,
    work: (request: unknown, call: CallContext) => Promise<unknown>,
    { address, admit, deadlineMs }: Shared,
  ): handleUnaryCall<unknown, unknown> =>
  (call, done) => {
    const measured = measure(path, call.metadata, address());
    const calling = callContext(call);
    const answered = async (): Promise<unknown> => {
      admit(calling.peer);
      const answer = work(readable(call.request), calling);
      return call.getDeadline() === Number.POSITIVE_INFINITY
        ? withinDeadline(answer, calling.stop, deadlineMs)
        : answer;
    };
    context.with(measured.context, answered).then(
      (answer) => {
        measured.end();
        done(null, answer);
      },
      (error) => {
        measured.end(error);
        done(toStatus(error));
      },
    );
  };

/** Reads on only when the caller has taken what was sent. */
const pump = async (
  call: ServerWritableStream<unknown, unknown>,
  items: AsyncIterable<unknown>,
  signal: AbortSignal,
): Promise<void> => {
  for await (const item of items) {
    if (signal.aborted) return;
    if (!call.write(item)) await once(call, 'drain', { signal });
  }
};

const streaming =
  (
    path: string,
    work: (request: unknown, call: CallContext) => AsyncIterable<unknown>,
    { address, admit, ending }: Shared,
  ): handleServerStreamingCall<unknown, unknown> =>
  (call) => {
    const measured = measure(path, call.metadata, address());
    const calling = callContext(call);
    const stream = async (): Promise<void> => {
      admit(calling.peer);
      await pump(call, work(readable(call.request), calling), calling.signal);
    };
    ending.addEventListener('abort', calling.stop, { once: true });
    context
      .with(measured.context, stream)
      .then(
        () => (ending.aborted ? serviceEnds() : undefined),
        (error: unknown) => (ending.aborted ? serviceEnds() : error),
      )
      .then((error) => {
        ending.removeEventListener('abort', calling.stop);
        // The caller is gone: there is nobody to tell.
        const told = call.cancelled ? undefined : error;
        measured.end(told);
        if (told === undefined) call.end();
        else call.emit('error', toStatus(told));
      });
  };

const serviceEnds = (): Error =>
  weirError('UNAVAILABLE', 'the service is ending', { fix: 'call again, behind what you have', retryAfterS: 1 });

const handlers = ({ descriptor, implementation }: Registered, shared: Shared): UntypedServiceImplementation =>
  Object.fromEntries(
    descriptor.methods.map((method) => {
      const work = implementation[method.localName];
      if (work === undefined) throw new TypeError(`${descriptor.typeName}.${method.name} has no implementation`);
      const path = `/${descriptor.typeName}/${method.name}`;
      return [
        method.localName,
        method.methodKind === 'unary' ? unary(path, work, shared) : streaming(path, work, shared),
      ];
    }),
  ) as UntypedServiceImplementation;

const bind = (server: Server, host: string, port: number, socket: string | undefined): Promise<string> =>
  new Promise((done, failed) => {
    const shown = host.includes(':') ? `[${host}]` : host;
    const place = socket === undefined ? `${shown}:${port}` : `unix:${socket}`;
    server.bindAsync(place, ServerCredentials.createInsecure(), (error, bound) => {
      if (!error) return done(socket === undefined ? `${shown}:${bound}` : place);
      failed(
        weirError('UNAVAILABLE', `cannot listen on ${place}`, {
          field: socket === undefined ? 'grpc port' : 'grpc socket',
          value: socket ?? port,
          fix: socket === undefined ? 'choose a free port, or 0 for any' : 'choose a path in a folder that is there',
          cause: error,
        }),
      );
    });
  });

export const createRpcServer = async (options: RpcServerOptions): Promise<RpcServer> => {
  const server = new Server({
    'grpc.max_receive_message_length': MESSAGE_MAX_BYTES,
    'grpc.max_send_message_length': ANSWER_MAX_BYTES,
    'grpc.max_concurrent_streams': STREAMS_MAX,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
  });
  let address = '';
  const ending = new AbortController();
  const shared: Shared = {
    address: () => address,
    admit: createRateLimit(options.callsPerWindow).check,
    deadlineMs: options.deadlineMs,
    ending: ending.signal,
  };
  for (const registered of options.services) {
    server.addService(serviceDefinition(registered.descriptor), handlers(registered, shared));
  }
  const names = ['', ...options.services.map(({ descriptor }) => descriptor.typeName)];
  const health = new HealthImplementation(Object.fromEntries(names.map((name) => [name, 'SERVING'] as const)));
  health.addToServer(server);
  new ReflectionService(reflectionPackage(options.services.map(({ descriptor }) => descriptor))).addToServer(server);
  address = await bind(server, options.host ?? '127.0.0.1', options.port, options.socket);
  let closed: Promise<void> | undefined;
  return {
    address,
    setServing: (serving) => {
      for (const name of names) health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
    },
    close: () => {
      for (const name of names) health.setStatus(name, 'NOT_SERVING');
      ending.abort();
      closed ??= new Promise((done) => {
        const force = setTimeout(() => server.forceShutdown(), CLOSE_GRACE_MS);
        server.tryShutdown(() => {
          clearTimeout(force);
          done();
        });
      });
      return closed;
    },
  };
};
