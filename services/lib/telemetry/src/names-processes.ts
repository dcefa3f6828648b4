// SPDX-License-Identifier: Apache-2.0
/** The metrics of processes and their events (names.ts). */
import type { MetricSpec } from './names.ts';

export const PROCESS_METRICS = {
  weir_agent_processes: {
    kind: 'gauge',
    unit: '1',
    help: 'Processes that run on this host, as far as they are watched',
  },
  weir_agent_process_events_total: {
    kind: 'counter',
    unit: '1',
    help: 'Events of processes that programs have written, by kind (exec, fork, exit, seen, data)',
    labels: ['kind'],
  },
  weir_agent_process_events_published_total: {
    kind: 'counter',
    unit: '1',
    help: 'Events of processes that the bus has acknowledged',
  },
  weir_agent_process_events_shed_total: {
    kind: 'counter',
    unit: '1',
    help: 'Events of processes that found no room in the spool, by where: spool, of this run; earlier, of runs before it',
    labels: ['where'],
  },
  weir_agent_process_spool_bytes: { kind: 'gauge', unit: 'By', help: 'Size of the spool of events of processes' },
  weir_agent_process_events_lost_total: {
    kind: 'counter',
    unit: '1',
    help: 'Events of processes that the ring buffer had no room for, by kind; map_full: processes that the map had no room for',
    labels: ['kind'],
  },
  weir_analytics_process_events_stored_total: {
    kind: 'counter',
    unit: '1',
    help: 'Events of processes committed in Postgres',
  },
  weir_analytics_process_events_duplicate_total: {
    kind: 'counter',
    unit: '1',
    help: 'Events of processes that were delivered again and were stored already',
  },
  weir_analytics_process_events_retimed_total: {
    kind: 'counter',
    unit: '1',
    help: 'Events of processes stored at the bounds of what is kept, because the clock of their host is far off',
  },
} as const satisfies Record<string, MetricSpec>;
