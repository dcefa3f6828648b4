// SPDX-License-Identifier: Apache-2.0
/**
 * Starts telemetry of a process. Light on purpose: the parts of the SDK that we use, no instrumentation bundle, and the
 * OTLP exporter is loaded only where OTEL_EXPORTER_OTLP_ENDPOINT (or its traces twin) says where to send.
 * Without it spans still carry ids through logs, the bus and other services; they are just not stored.
 */
import { createServer } from 'node:http';
import { hostname } from 'node:os';
import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, type SpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { metricsText, observeProcess } from './metrics.ts';

export interface TelemetryOptions {
  readonly service: string;
  readonly version?: string;
  /** Serves GET /metrics on loopback, for programs without an HTTP API of their own. 0: any free port. */
  readonly metricsPort?: number;
  /** More span processors (tests). */
  readonly spanProcessors?: readonly SpanProcessor[];
}

export interface Telemetry {
  metricsText(): Promise<string>;
  /** Where /metrics is served, when asked for. */
  readonly metricsUrl?: string;
  shutdown(): Promise<void>;
}

interface Shared {
  users: number;
  readonly provider: TracerProvider;
  readonly stopProcess: () => void;
}

/** Several services may live in one process (tests, demo): the first one sets it up, the last one ends it. */
let shared: Shared | undefined;

const otlpProcessors = async (env: NodeJS.ProcessEnv): Promise<SpanProcessor[]> => {
  if (!env.OTEL_EXPORTER_OTLP_ENDPOINT && !env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) return [];
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
  const delayMs = Number(env.OTEL_BSP_SCHEDULE_DELAY);
  const options = delayMs > 0 ? { scheduledDelayMillis: delayMs } : {};
  return [new BatchSpanProcessor({ exporter: new OTLPTraceExporter(), ...options })];
};

const setUp = async (options: TelemetryOptions): Promise<Shared> => {
  const processors = [...(await otlpProcessors(process.env)), ...(options.spanProcessors ?? [])];
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': options.service,
      'service.namespace': 'weir',
      'service.version': options.version ?? '0.1.0',
      'service.instance.id': `${hostname()}:${process.pid}`,
      'host.name': hostname(),
    }),
    spanProcessors: processors,
    spanLimits: { attributeValueLengthLimit: 4_096 },
  });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  return { users: 0, provider, stopProcess: observeProcess() };
};

const tearDown = async ({ provider, stopProcess }: Shared): Promise<void> => {
  stopProcess();
  // A collector that is away must not hold up the end of the process.
  await Promise.race([provider.shutdown().catch(() => {}), new Promise((done) => setTimeout(done, 2_000).unref())]);
  trace.disable();
  context.disable();
  propagation.disable();
};

const serveMetrics = (port: number): Promise<{ url: string; close(): Promise<void> }> =>
  new Promise((done, failed) => {
    const server = createServer((request, response) => {
      if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
        response.writeHead(404).end();
        return;
      }
      metricsText().then(
        (text) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text),
        () => response.writeHead(500).end(),
      );
    });
    server.once('error', failed);
    server.unref();
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      const bound = typeof address === 'object' && address ? address.port : port;
      done({
        url: `http://127.0.0.1:${bound}/metrics`,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed());
            server.closeAllConnections();
          }),
      });
    });
  });

let settingUp: Promise<Shared> | undefined;

export const startTelemetry = async (options: TelemetryOptions): Promise<Telemetry> => {
  settingUp ??= setUp(options);
  shared = await settingUp;
  const mine = shared;
  mine.users += 1;
  const server = options.metricsPort === undefined ? undefined : await serveMetrics(options.metricsPort);
  let ended = false;
  return {
    metricsText,
    metricsUrl: server?.url,
    shutdown: async () => {
      if (ended) return;
      ended = true;
      await server?.close();
      mine.users -= 1;
      if (mine.users > 0) return;
      settingUp = undefined;
      shared = undefined;
      await tearDown(mine);
    },
  };
};
