// SPDX-License-Identifier: Apache-2.0
/**
 * Spans and their way across processes (W3C trace context). One trace leads from an API call through the bus to the
 * map write on each host, so the same few functions serve HTTP headers, gRPC metadata and NATS headers.
 */
import {
  type Attributes,
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';

export const tracer = (name: string): Tracer => trace.getTracer(name);

/** Writes the current trace into outgoing headers. */
export const injectTrace = (set: (key: string, value: string) => void, from: Context = context.active()): void => {
  propagation.inject(from, undefined, { set: (_carrier, key, value) => set(key, value) });
};

/** The current trace as plain headers, for a row in an outbox. */
export const traceHeaders = (from: Context = context.active()): Record<string, string> => {
  const headers: Record<string, string> = {};
  injectTrace((key, value) => {
    headers[key] = value;
  }, from);
  return headers;
};

/** Context of incoming headers; without a valid one, the root. */
export const extractTrace = (get: (key: string) => string | undefined): Context =>
  propagation.extract(ROOT_CONTEXT, undefined, { get: (_carrier, key) => get(key), keys: () => [] });

export interface SpanOptions {
  readonly kind?: SpanKind;
  readonly attributes?: Attributes;
  readonly parent?: Context;
}

const failSpan = (span: Span, error: unknown): void => {
  span.recordException(error instanceof Error ? error : String(error));
  span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
};

/** Runs `work` in a span that ends with it; a rejection marks the span. */
export const withSpan = async <R>(
  name: string,
  options: SpanOptions,
  work: (span: Span) => Promise<R> | R,
): Promise<R> => {
  const parent = options.parent ?? context.active();
  const span = tracer('weir').startSpan(
    name,
    { kind: options.kind ?? SpanKind.INTERNAL, attributes: options.attributes },
    parent,
  );
  try {
    return await context.with(trace.setSpan(parent, span), () => work(span));
  } catch (error) {
    failSpan(span, error);
    throw error;
  } finally {
    span.end();
  }
};

/** A point in time as the SDK takes it; a plain number would lose the microseconds. */
const hrTime = (us: number): [number, number] => [Math.floor(us / 1_000_000), (us % 1_000_000) * 1_000];

export interface SpanTimes {
  readonly startUs: number;
  readonly endUs: number;
}

/** A span that began at `startUs`; the context is for what happens below it, and `end` must be called once. */
export const beginSpan = (
  name: string,
  { kind = SpanKind.INTERNAL, attributes, parent = context.active() }: SpanOptions,
  startUs: number,
): { readonly context: Context; end(endUs: number, error?: unknown): void } => {
  const span = tracer('weir').startSpan(name, { kind, attributes, startTime: hrTime(startUs) }, parent);
  return {
    context: trace.setSpan(parent, span),
    end: (endUs, error) => {
      if (error !== undefined) failSpan(span, error);
      // Clocks that are set back do not make a negative span.
      span.end(hrTime(Math.max(startUs, endUs)));
    },
  };
};

/** A span of something that is over, with the times that were measured. Returns its context. */
export const recordSpan = (name: string, options: SpanOptions, { startUs, endUs }: SpanTimes): Context => {
  const span = beginSpan(name, options, startUs);
  span.end(endUs);
  return span.context;
};

/** There is a trace to belong to. */
export const isTraced = (of: Context): boolean => trace.getSpanContext(of) !== undefined;

export { type Context, context, type Span, SpanKind, SpanStatusCode, trace };
