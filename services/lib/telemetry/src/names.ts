// SPDX-License-Identifier: Apache-2.0
/**
 * Every metric of the platform, once: name, kind, unit and what it tells. Dashboards, alerts and documentation are
 * made from this list; an instrument can only be made from an entry of it.
 *
 * Names follow Prometheus: `weir_<part>_<what>_<unit>`, counters end in `_total`. Labels are few and bounded: never an
 * address, a workload or anything else that users make up.
 */
import { PROCESS_METRICS } from './names-processes.ts';

export type MetricKind = 'counter' | 'updown' | 'gauge' | 'histogram';

export interface MetricSpec {
  readonly kind: MetricKind;
  /** Unit after UCUM; 1 for plain numbers. */
  readonly unit: string;
  readonly help: string;
  readonly labels?: readonly string[];
  /** Upper bounds of a histogram. */
  readonly buckets?: readonly number[];
}

/** From a fast map lookup to a request that somebody gave up on. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export const METRICS = {
  ...PROCESS_METRICS,
  weir_http_request_duration_seconds: {
    kind: 'histogram',
    unit: 's',
    help: 'Time from the arrival of an HTTP request to its answer',
    labels: ['method', 'route', 'status'],
    buckets: SECONDS,
  },
  weir_rpc_request_duration_seconds: {
    kind: 'histogram',
    unit: 's',
    help: 'Time from the arrival of a gRPC call to its end',
    labels: ['method', 'code'],
    buckets: SECONDS,
  },
  weir_process_event_loop_delay_seconds: {
    kind: 'gauge',
    unit: 's',
    help: '99th percentile of the delay of the event loop since the last scrape',
  },
  weir_process_resident_memory_bytes: { kind: 'gauge', unit: 'By', help: 'Resident memory of the process' },
  weir_process_cpu_seconds_total: { kind: 'counter', unit: 's', help: 'CPU time of the process, user and system' },

  weir_bus_published_total: {
    kind: 'counter',
    unit: '1',
    help: 'Messages acknowledged by the bus',
    labels: ['stream'],
  },
  weir_bus_publish_failures_total: {
    kind: 'counter',
    unit: '1',
    help: 'Attempts to publish that the bus did not acknowledge',
    labels: ['stream'],
  },
  weir_bus_rejected_total: {
    kind: 'counter',
    unit: '1',
    help: 'Messages refused on arrival: not signed, for another subject, older, or not decodable',
    labels: ['reason'],
  },
  weir_bus_reconnects_total: {
    kind: 'counter',
    unit: '1',
    help: 'Times that the connection to the bus was made again',
  },
  weir_outbox_pending: { kind: 'gauge', unit: '1', help: 'Messages committed and not yet published' },
  weir_outbox_published_total: { kind: 'counter', unit: '1', help: 'Messages that left the outbox' },
  weir_config_resyncs_total: {
    kind: 'counter',
    unit: '1',
    help: 'Times that a reader took a new snapshot of the configuration',
    labels: ['reason'],
  },

  weir_inventory_hosts: { kind: 'gauge', unit: '1', help: 'Hosts by state', labels: ['state'] },
  weir_inventory_workloads: { kind: 'gauge', unit: '1', help: 'Workloads that exist' },
  weir_inventory_identities: { kind: 'gauge', unit: '1', help: 'Identities that are allocated' },
  weir_inventory_heartbeats_total: { kind: 'counter', unit: '1', help: 'Agent heartbeats received' },
  weir_inventory_health_reports_total: { kind: 'counter', unit: '1', help: 'Rounds of health probes that hosts told' },
  weir_inventory_unreachable_hosts: {
    kind: 'gauge',
    unit: '1',
    help: 'Pairs of hosts of which one reaches no address of the other, by the newest reports; should be 0',
  },
  weir_inventory_unreachable_health_endpoints: {
    kind: 'gauge',
    unit: '1',
    help: 'Pairs of hosts of which one reaches no address of the health endpoint of the other, by the newest reports; should be 0',
  },
  weir_inventory_check_verdicts_total: {
    kind: 'counter',
    unit: '1',
    help: 'Verdicts of health checks of backends that hosts told, again and again those that did not change',
  },
  weir_inventory_checked_services_total: {
    kind: 'counter',
    unit: '1',
    help: 'Documents of services written again because of verdicts',
  },
  weir_inventory_acks_total: { kind: 'counter', unit: '1', help: 'Agent acknowledgements received' },

  weir_policy_applied_total: {
    kind: 'counter',
    unit: '1',
    help: 'Documents that were applied or deleted, by what came of it',
    labels: ['action'],
  },
  weir_policy_acks_total: { kind: 'counter', unit: '1', help: 'Agent acknowledgements stored' },
  weir_policy_documents: { kind: 'gauge', unit: '1', help: 'Policy documents in force' },

  weir_analytics_flows_stored_total: { kind: 'counter', unit: '1', help: 'Flows committed in Postgres' },
  weir_analytics_flows_duplicate_total: {
    kind: 'counter',
    unit: '1',
    help: 'Flows that were delivered again and were stored already',
  },
  weir_analytics_flows_retimed_total: {
    kind: 'counter',
    unit: '1',
    help: 'Flows stored at the bounds of what is kept, because the clock of their host is far off',
  },
  weir_analytics_dead_letters_total: {
    kind: 'counter',
    unit: '1',
    help: 'Messages set aside because they can never be stored',
  },
  weir_analytics_store_duration_seconds: {
    kind: 'histogram',
    unit: 's',
    help: 'Time of the transaction that stores a batch of flows',
    buckets: SECONDS,
  },
  weir_analytics_messages_pending: {
    kind: 'gauge',
    unit: '1',
    help: 'Messages taken from the bus and not yet committed',
  },
  weir_analytics_accounted_produced: {
    kind: 'gauge',
    unit: '1',
    help: 'Events of a kind (flow, process) that a host wanted to report, over all runs; equal to the sum of weir_analytics_accounted_flows. Every replica tells the same',
    labels: ['host', 'kind'],
  },
  weir_analytics_accounted_flows: {
    kind: 'gauge',
    unit: '1',
    help: 'What became of them by place: stored, lost in ring or spool, dead_letter, on_its_way. Every replica tells the same',
    labels: ['host', 'kind', 'place'],
  },
  weir_analytics_watermark_age_seconds: {
    kind: 'gauge',
    unit: 's',
    help: 'For how long events of a host have been waiting to be stored; 0: none waits',
    labels: ['host', 'kind'],
  },
  weir_analytics_store_bytes: { kind: 'gauge', unit: 'By', help: 'Size of flows and edges with their indexes' },
  weir_analytics_partitions: { kind: 'gauge', unit: '1', help: 'Partitions of flows that exist' },
  weir_analytics_partitions_dropped_total: {
    kind: 'counter',
    unit: '1',
    help: 'Partitions dropped by retention',
    labels: ['reason'],
  },
  weir_change_streams: { kind: 'gauge', unit: '1', help: 'Streams of changes that are open' },
  weir_analytics_streams: { kind: 'gauge', unit: '1', help: 'Live streams of flows that are open' },
  weir_analytics_stream_lost_total: {
    kind: 'counter',
    unit: '1',
    help: 'Flows not sent to a live stream because its reader was too slow; each reader is told',
  },
  weir_agent_pass_duration_seconds: {
    kind: 'histogram',
    unit: 's',
    help: 'Time of one pass from what is known to what stands in the kernel',
    labels: ['outcome'],
    buckets: SECONDS,
  },
  weir_agent_realise_duration_seconds: {
    kind: 'histogram',
    unit: 's',
    help: 'Time from the arrival of a document to the end of the pass that brought it into the kernel',
    buckets: SECONDS,
  },
  weir_agent_policy_swaps_total: { kind: 'counter', unit: '1', help: 'Policy tables of workloads that were replaced' },
  weir_agent_workloads: { kind: 'gauge', unit: '1', help: 'Workloads of this host by state', labels: ['state'] },
  weir_agent_lockdowns: {
    kind: 'gauge',
    unit: '1',
    help: 'Workloads that are denied everything because their policy does not fit; should be 0',
  },
  weir_agent_document_errors: {
    kind: 'gauge',
    unit: '1',
    help: 'Documents that could not be realised; should be 0',
  },
  weir_agent_map_pressure_ratio: {
    kind: 'gauge',
    unit: '1',
    help: 'Used part of a map; of policy tables the fullest. More than 1: something does not fit and is locked down',
    labels: ['map'],
  },
  weir_agent_repairs_total: {
    kind: 'counter',
    unit: '1',
    help: 'Things that somebody took away or changed behind the agent and that it put back',
  },
  weir_agent_trouble_total: { kind: 'counter', unit: '1', help: 'Failures that the agent logged and outlived' },
  weir_agent_sweep_duration_seconds: {
    kind: 'histogram',
    unit: 's',
    help: 'Time of one walk over the tracked connections',
    buckets: SECONDS,
  },
  weir_agent_connections: { kind: 'gauge', unit: '1', help: 'Connections tracked at the last walk' },
  weir_agent_flows_total: { kind: 'counter', unit: '1', help: 'Flow events taken from the ring buffer' },
  weir_agent_flows_published_total: { kind: 'counter', unit: '1', help: 'Flow events acknowledged by the bus' },
  weir_agent_flows_lost_total: {
    kind: 'counter',
    unit: '1',
    help: "Flow events lost: ring (buffer in the kernel full), throttle (over a workload's rate limit), spool (its bound reached), earlier (the same, of agents before)",
    labels: ['where'],
  },
  weir_agent_throttled_workloads: {
    kind: 'gauge',
    unit: '1',
    help: 'Workloads that report more flow events than their rate limit allows, now',
  },
  weir_agent_throttle_changes_total: {
    kind: 'counter',
    unit: '1',
    help: 'How often throttling of a workload began (start) and ended (stop)',
    labels: ['change'],
  },
  weir_agent_spool_events: {
    kind: 'gauge',
    unit: '1',
    help: 'Flow events on disk that are not known to be stored',
  },
  weir_agent_spool_bytes: { kind: 'gauge', unit: 'By', help: 'Flow events on disk that are not known to be stored' },
  weir_agent_control_silence_seconds: {
    kind: 'gauge',
    unit: 's',
    help: 'Time since the last heartbeat of a publisher of configuration',
    labels: ['publisher'],
  },
  weir_agent_bus_connected: { kind: 'gauge', unit: '1', help: '1 while the agent is connected to the bus' },
  weir_agent_node_health_connectivity_status: {
    kind: 'gauge',
    unit: '1',
    help: 'Paths to the addresses of other hosts that this host probes, by kind (icmp, tcp), target (host, endpoint) and status (reachable, unreachable)',
    labels: ['kind', 'target', 'status'],
  },
  weir_agent_node_health_connectivity_latency_seconds: {
    kind: 'histogram',
    unit: 's',
    help: 'Time to the answer of a health probe of another host, by kind (icmp, tcp) and target (host, endpoint)',
    labels: ['kind', 'target'],
    buckets: SECONDS,
  },
  weir_agent_unreachable_nodes: {
    kind: 'gauge',
    unit: '1',
    help: 'Other hosts of which no address answers this host; should be 0',
  },
  weir_agent_unreachable_health_endpoints: {
    kind: 'gauge',
    unit: '1',
    help: 'Health endpoints of other hosts of which no address answers this host: the path of workloads is broken; should be 0',
  },
  weir_agent_checks_total: {
    kind: 'counter',
    unit: '1',
    help: 'Probes of backends of services, by kind (tcp, http, https, udp, icmp, grpc) and outcome (ok, failed)',
    labels: ['kind', 'outcome'],
  },
  weir_agent_checked_backends: {
    kind: 'gauge',
    unit: '1',
    help: 'Backends of services that this host asks, by health (healthy, unhealthy, unknown)',
    labels: ['health'],
  },
  weir_agent_checks_waiting: {
    kind: 'gauge',
    unit: '1',
    help: 'Probes of backends that are due and wait for their turn; should be 0',
  },
  weir_agent_l2_services: {
    kind: 'gauge',
    unit: '1',
    help: 'Services whose addresses this host may answer for, by whether it does: unknown, waiting, held, unconfirmed (held, but not renewed in time)',
    labels: ['state'],
  },
  weir_agent_l2_transitions_total: {
    kind: 'counter',
    unit: '1',
    help: 'Leases of services that this host got (held) and lost (lost)',
    labels: ['to'],
  },
  weir_agent_l2_conflicts_total: {
    kind: 'counter',
    unit: '1',
    help: 'Addresses of services for which another machine spoke while this host had the lease; should be 0',
  },
  weir_agent_bgp_sessions: {
    kind: 'gauge',
    unit: '1',
    help: '1 while the BGP session with the peer is established, else 0',
    labels: ['instance', 'peer'],
  },
  weir_agent_bgp_routes: {
    kind: 'gauge',
    unit: '1',
    help: 'Routes that the peer told (received) and that it was told (advertised)',
    labels: ['instance', 'peer', 'family', 'direction'],
  },
  weir_agent_bgp_reloads_total: {
    kind: 'counter',
    unit: '1',
    help: 'New configurations of the BGP daemon: started, restarted (it had gone), reloaded',
    labels: ['what'],
  },
  weir_datapath_service_connections_total: {
    kind: 'counter',
    unit: '1',
    help: 'Connections that clients on this host, or outside and served by it, began to a service',
    labels: ['service'],
  },
  weir_datapath_service_packets_total: {
    kind: 'counter',
    unit: '1',
    help: 'Packets of clients that carried the address of a service, and datagrams of sockets without connection',
    labels: ['service'],
  },
  weir_datapath_service_bytes_total: {
    kind: 'counter',
    unit: 'By',
    help: 'IP bytes of clients that carried the address of a service',
    labels: ['service'],
  },
  weir_datapath_service_refused_total: {
    kind: 'counter',
    unit: '1',
    help: 'What clients asked of a service and was refused: no-backend (nobody serves), source-range (not for this client)',
    labels: ['service', 'reason'],
  },
  weir_datapath_service_flow_table_total: {
    kind: 'counter',
    unit: '1',
    help: 'Packets of a service whose slot in the Maglev table has changed hands: remembered (hit) or not (miss)',
    labels: ['service', 'result'],
  },
  weir_datapath_events_total: {
    kind: 'counter',
    unit: '1',
    help: 'Counters of the datapath by name: enum weir_counter of the kernel contract',
    labels: ['counter'],
  },
  weir_datapath_dropped_packets_total: {
    kind: 'counter',
    unit: '1',
    help: 'Packets dropped by the datapath',
    labels: ['reason', 'direction'],
  },
} as const satisfies Record<string, MetricSpec>;

export type MetricName = keyof typeof METRICS;

/** Names of the metrics of one kind. */
export type MetricOf<Kind extends MetricKind> = {
  [Name in MetricName]: (typeof METRICS)[Name]['kind'] extends Kind ? Name : never;
}[MetricName];
