// SPDX-License-Identifier: Apache-2.0
/**
 * Instruments, made from the list in names.ts. One provider per process, made at first use, so that an instrument
 * works whether telemetry was started before or after it.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Attributes, Counter, Histogram, Meter, ObservableResult, UpDownCounter } from '@opentelemetry/api';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { AggregationType, MeterProvider } from '@opentelemetry/sdk-metrics';
import { METRICS, type MetricName, type MetricOf, type MetricSpec } from './names.ts';

const NS_PER_S = 1e9;
const US_PER_S = 1e6;

interface Metrics {
  readonly provider: MeterProvider;
  readonly reader: PrometheusExporter;
  readonly serializer: PrometheusSerializer;
}

let metrics: Metrics | undefined;
// biome-ignore lint/suspicious/noExplicitAny: the kinds of instruments share no useful type
const instruments = new Map<string, any>();

const ensure = (): Metrics => {
  if (metrics) return metrics;
  // The exporter is only used as a reader: the HTTP library serves the text.
  const reader = new PrometheusExporter({ preventServerStart: true });
  const views = Object.entries(METRICS as Record<string, MetricSpec>)
    .filter(([, spec]) => spec.buckets !== undefined)
    .map(([instrumentName, spec]) => ({
      instrumentName,
      aggregation: {
        type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM as const,
        options: { boundaries: [...(spec.buckets ?? [])] },
      },
    }));
  metrics = {
    provider: new MeterProvider({ readers: [reader], views }),
    reader,
    serializer: new PrometheusSerializer('', false, undefined, true, true),
  };
  return metrics;
};

/** A meter for instruments that are not in the list (none should be). Prefer the functions below. */
export const meter = (name: string): Meter => ensure().provider.getMeter(name);

const instrument = <I>(
  name: MetricName,
  make: (meter: Meter, options: { unit: string; description: string }) => I,
): I => {
  const known = instruments.get(name) as I | undefined;
  if (known) return known;
  const { unit, help }: MetricSpec = METRICS[name];
  const made = make(meter('weir'), { unit, description: help });
  instruments.set(name, made);
  return made;
};

export const counter = (name: MetricOf<'counter'>): Counter =>
  instrument(name, (from, options) => from.createCounter(name, options));

export const updown = (name: MetricOf<'updown'>): UpDownCounter =>
  instrument(name, (from, options) => from.createUpDownCounter(name, options));

export const histogram = (name: MetricOf<'histogram'>): Histogram =>
  instrument(name, (from, options) => from.createHistogram(name, options));

export type Observe = (value: number, labels?: Attributes) => void;

/** `read` is called at each scrape; call the returned function to stop. */
export const observe = (
  name: MetricOf<'gauge' | 'counter'>,
  read: (observe: Observe) => void | Promise<void>,
): (() => void) => {
  const observable = instrument(name, (from, options) =>
    METRICS[name].kind === 'counter'
      ? from.createObservableCounter(name, options)
      : from.createObservableGauge(name, options),
  );
  const callback = (result: ObservableResult): void | Promise<void> =>
    read((value, labels) => result.observe(value, labels));
  observable.addCallback(callback);
  return () => observable.removeCallback(callback);
};

/** Everything measured in this process, in Prometheus' text format. */
export const metricsText = async (): Promise<string> => {
  const { reader, serializer } = ensure();
  const { resourceMetrics } = await reader.collect();
  return serializer.serialize(resourceMetrics);
};

/** The process itself: memory, CPU, event loop. */
export const observeProcess = (): (() => void) => {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  const stops = [
    observe('weir_process_resident_memory_bytes', (result) => result(process.memoryUsage.rss())),
    observe('weir_process_cpu_seconds_total', (result) => {
      const { user, system } = process.cpuUsage();
      result((user + system) / US_PER_S);
    }),
    observe('weir_process_event_loop_delay_seconds', (result) => {
      result(delay.percentile(99) / NS_PER_S);
      delay.reset();
    }),
  ];
  return () => {
    delay.disable();
    for (const stop of stops) stop();
  };
};
