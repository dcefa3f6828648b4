// SPDX-License-Identifier: Apache-2.0
/** A span and a time for each request; what runs for the request runs in its trace. */
import {
  type Context,
  context,
  extractTrace,
  histogram,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  tracer,
} from '@weir/telemetry';
import type { FastifyInstance, FastifyRequest } from 'fastify';

interface RequestTrace {
  readonly span: Span;
  readonly context: Context;
}

const traces = new WeakMap<FastifyRequest, RequestTrace>();

/** Not worth a span: asked every few seconds by machines. */
const QUIET = new Set(['/healthz', '/readyz', '/metrics']);

const headerOf = (request: FastifyRequest, key: string): string | undefined => {
  const value = request.headers[key];
  return Array.isArray(value) ? value[0] : value;
};

const startSpan = (app: FastifyInstance, request: FastifyRequest): RequestTrace => {
  const route = request.routeOptions.url ?? 'unmatched';
  const address = app.server.address();
  const parent = extractTrace((key) => headerOf(request, key));
  const span = tracer('http').startSpan(
    `${request.method} ${route}`,
    {
      kind: SpanKind.SERVER,
      attributes: {
        'http.request.method': request.method,
        'http.route': route,
        'url.path': request.url.split('?')[0] ?? '',
        'url.scheme': request.protocol,
        'server.address': request.hostname,
        ...(typeof address === 'object' && address ? { 'server.port': address.port } : {}),
        'client.address': request.ip,
        'user_agent.original': request.headers['user-agent'] ?? '',
      },
    },
    parent,
  );
  return { span, context: trace.setSpan(parent, span) };
};

export const traceIdOf = (request: FastifyRequest): string | undefined =>
  traces.get(request)?.span.spanContext().traceId;

export const traceRequests = (app: FastifyInstance): void => {
  const duration = histogram('weir_http_request_duration_seconds');
  app.addHook('onRequest', (request, _reply, done) => {
    if (QUIET.has(request.routeOptions.url ?? '')) return done();
    const started = startSpan(app, request);
    traces.set(request, started);
    context.with(started.context, done);
  });
  // Reading a body leaves the context; validation and handler come after it.
  app.addHook('preValidation', (request, _reply, done) => {
    const started = traces.get(request);
    if (started === undefined) return done();
    context.with(started.context, done);
  });
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unmatched';
    duration.record(reply.elapsedTime / 1_000, { method: request.method, route, status: String(reply.statusCode) });
    const span = traces.get(request)?.span;
    span?.setAttribute('http.response.status_code', reply.statusCode);
    if (reply.statusCode >= 500) span?.setStatus({ code: SpanStatusCode.ERROR });
    span?.end();
    done();
  });
};
