// SPDX-License-Identifier: Apache-2.0
/** The agent's gauges and counters that are read when somebody asks. */
import { observe } from '@weir/telemetry';
import type { SpoolStats } from './events/spool.ts';
import type { Counters, Platform, SweepResult } from './platform.ts';
import type { ProcessReporting } from './processes/reporting.ts';
import type { Report } from './report/report.ts';
import type { ServiceSum } from './report/service-counts.ts';
import type { ThrottleReport } from './report/throttles.ts';

export interface MetricSources {
  readonly report: () => Report;
  readonly counters: () => Counters;
  readonly sweep: () => SweepResult | undefined;
  readonly spool: () => SpoolStats;
  readonly flows: () => { readonly taken: bigint; readonly lostRing: bigint; readonly lostThrottle: bigint };
  readonly throttles: () => readonly ThrottleReport[];
  /** Elements in each map. */
  readonly used: () => Readonly<Record<keyof Platform['capacity'], number>>;
  readonly capacity: Platform['capacity'];
  /** By namespace.name; not more than a thousand. */
  readonly services: () => ReadonlyMap<string, ServiceSum>;
  readonly processes: () => ProcessReporting;
  readonly connected: () => boolean;
  /** Per publisher, Unix milliseconds of its last heartbeat. */
  readonly heard: () => Readonly<Record<string, number | undefined>>;
}

/** Of processes: what the ring buffer, and what the map, had no room for. */
const LOST = 'lost_';
const MAP_FULL = 'map_full';

const observeServices = (services: MetricSources['services']): readonly (() => void)[] => {
  const each = (
    name: Parameters<typeof observe>[0],
    valuesOf: (sum: ServiceSum) => readonly (readonly [value: bigint, labels: Record<string, string>])[],
  ): (() => void) =>
    observe(name, (result) => {
      for (const [service, sum] of services())
        for (const [value, labels] of valuesOf(sum)) result(Number(value), { service, ...labels });
    });
  return [
    each('weir_datapath_service_connections_total', ({ connections }) => [[connections, {}]]),
    each('weir_datapath_service_packets_total', ({ packets }) => [[packets, {}]]),
    each('weir_datapath_service_bytes_total', ({ bytes }) => [[bytes, {}]]),
    each('weir_datapath_service_refused_total', ({ noBackend, denied }) => [
      [noBackend, { reason: 'no-backend' }],
      [denied, { reason: 'source-range' }],
    ]),
    each('weir_datapath_service_flow_table_total', ({ flowHits, flowMisses }) => [
      [flowHits, { result: 'hit' }],
      [flowMisses, { result: 'miss' }],
    ]),
  ];
};

/** Returns what ends the observation. */
export const observeAgent = (sources: MetricSources): (() => void) => {
  const stops = [
    observe('weir_agent_workloads', (result) => {
      const states = new Map<string, number>();
      for (const { state } of sources.report().workloads) states.set(state, (states.get(state) ?? 0) + 1);
      for (const [state, count] of states) result(count, { state });
    }),
    observe('weir_agent_processes', (result) => {
      const { current } = sources.processes();
      if (current) result(current.cache.running);
    }),
    observe('weir_agent_process_events_total', (result) => {
      for (const [name, value] of Object.entries(sources.processes().current?.counters() ?? {}))
        if (!name.startsWith(LOST) && name !== MAP_FULL) result(Number(value), { kind: name });
    }),
    observe('weir_agent_process_events_lost_total', (result) => {
      for (const [name, value] of Object.entries(sources.processes().current?.counters() ?? {}))
        if (name.startsWith(LOST) || name === MAP_FULL) result(Number(value), { kind: name.replace(LOST, '') });
    }),
    observe('weir_agent_process_events_published_total', (result) => {
      const account = sources.processes().account();
      if (account) result(Number(account.spool.published));
    }),
    observe('weir_agent_process_events_shed_total', (result) => {
      const account = sources.processes().account();
      if (!account) return;
      result(Number(account.spool.lost), { where: 'spool' });
      result(Number(account.spool.lostEarlier), { where: 'earlier' });
    }),
    observe('weir_agent_process_spool_bytes', (result) => {
      const account = sources.processes().account();
      if (account) result(account.spool.bytes);
    }),
    observe('weir_agent_lockdowns', (result) =>
      result(sources.report().workloads.filter(({ message }) => message.startsWith('in lockdown')).length),
    ),
    observe('weir_agent_document_errors', (result) => result(sources.report().errors.length)),
    observe('weir_agent_map_pressure_ratio', (result) => {
      for (const [map, used] of Object.entries(sources.used())) {
        result(used / sources.capacity[map as keyof Platform['capacity']], { map });
      }
    }),
    observe('weir_agent_connections', (result) => result(sources.sweep()?.entries ?? 0)),
    observe('weir_agent_flows_total', (result) => result(Number(sources.flows().taken))),
    observe('weir_agent_flows_published_total', (result) => result(Number(sources.spool().published))),
    observe('weir_agent_flows_lost_total', (result) => {
      const { lost, lostEarlier } = sources.spool();
      result(Number(sources.flows().lostRing), { where: 'ring' });
      result(Number(sources.flows().lostThrottle), { where: 'throttle' });
      result(Number(lost), { where: 'spool' });
      result(Number(lostEarlier), { where: 'earlier' });
    }),
    observe('weir_agent_throttled_workloads', (result) =>
      result(sources.throttles().filter(({ endedMs }) => endedMs === 0n).length),
    ),
    observe('weir_agent_spool_events', (result) => result(sources.spool().events)),
    observe('weir_agent_spool_bytes', (result) => result(sources.spool().bytes)),
    observe('weir_agent_control_silence_seconds', (result) => {
      for (const [publisher, atMs] of Object.entries(sources.heard())) {
        if (atMs !== undefined) result((Date.now() - atMs) / 1000, { publisher });
      }
    }),
    observe('weir_agent_bus_connected', (result) => result(sources.connected() ? 1 : 0)),
    ...observeServices(sources.services),
    observe('weir_datapath_events_total', (result) => {
      for (const [name, value] of Object.entries(sources.counters().named)) {
        if (!name.startsWith('drop.')) result(Number(value), { counter: name });
      }
    }),
    observe('weir_datapath_dropped_packets_total', (result) => {
      for (const [name, value] of Object.entries(sources.counters().named)) {
        const [kind, reason = '', direction = ''] = name.split('.');
        if (kind === 'drop') result(Number(value), { reason, direction });
      }
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
};
