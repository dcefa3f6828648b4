// SPDX-License-Identifier: Apache-2.0
export { type Logger, logger } from './logger.ts';
export { counter, histogram, meter, metricsText, type Observe, observe, updown } from './metrics.ts';
export { METRICS, type MetricKind, type MetricName, type MetricOf, type MetricSpec } from './names.ts';
export { startTelemetry, type Telemetry, type TelemetryOptions } from './start.ts';
export {
  type Context,
  context,
  extractTrace,
  injectTrace,
  type Span,
  SpanKind,
  type SpanOptions,
  SpanStatusCode,
  trace,
  traceHeaders,
  tracer,
  withSpan,
} from './tracing.ts';
