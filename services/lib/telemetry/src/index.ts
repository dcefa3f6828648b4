// SPDX-License-Identifier: Apache-2.0
export { nowUs } from './clock.ts';
export { type Logger, logger } from './logger.ts';
export { counter, histogram, meter, metricsText, type Observe, observe, updown } from './metrics.ts';
export { METRICS, type MetricKind, type MetricName, type MetricOf, type MetricSpec } from './names.ts';
export { startTelemetry, type Telemetry, type TelemetryOptions } from './start.ts';
export {
  beginSpan,
  type Context,
  context,
  extractTrace,
  injectTrace,
  isTraced,
  recordSpan,
  type Span,
  SpanKind,
  type SpanOptions,
  SpanStatusCode,
  type SpanTimes,
  trace,
  traceHeaders,
  tracer,
  withSpan,
} from './tracing.ts';
