// SPDX-License-Identifier: Apache-2.0
/** The agent's own account of itself, for the local API. */
import type { HostDatapath } from '../apply/host.ts';
import type { BusLink } from '../bus-link.ts';
import type { EventPump } from '../events/pump.ts';
import type { HostFirewallGuard } from '../host-firewall/guard.ts';
import type { Inspector } from '../loops/inspector.ts';
import type { Planner } from '../plan/planner.ts';
import type { Platform } from '../platform.ts';
import type { ProcessReporting } from '../processes/reporting.ts';
import type { Configuration } from '../sources/configuration.ts';
import type { Accounts } from './accounts.ts';
import { VERSION } from './heartbeat.ts';
import type { Report } from './report.ts';
import type { ThrottleWatch } from './throttles.ts';

export interface StatusSources {
  readonly hostId: string;
  readonly boot: bigint;
  readonly startedMs: number;
  readonly platform: Platform;
  readonly host: HostDatapath;
  readonly planner: Planner;
  readonly configuration: Configuration;
  readonly link: BusLink;
  readonly pump: EventPump;
  readonly accounts: Accounts;
  readonly throttles: ThrottleWatch;
  readonly inspector: Pick<Inspector, 'repairs'>;
  readonly report: () => Report;
  readonly healthNetns: string;
  readonly hostFirewall: HostFirewallGuard;
  readonly processes: ProcessReporting;
}

const PUBLISHERS = ['inventory', 'policy'];

/** Elements that each map holds or should hold, so that more than fit are seen; of policy tables the fullest. */
export const usedOf = ({
  host,
  planner,
  accounts,
  report,
}: Pick<StatusSources, 'host' | 'planner' | 'accounts' | 'report'>): Record<keyof Platform['capacity'], number> => ({
  workloads: host.wired.size,
  addresses: host.wired.size * 2,
  ipcache: planner.ipcache.size,
  cidrs: host.cidrs.size,
  policy: report().workloads.reduce((most, { policyEntries }) => Math.max(most, policyEntries), 0),
  conntrack: accounts.swept?.entries ?? 0,
  nat: accounts.swept?.mappings ?? 0,
  services: planner.services.room.used.frontends,
  service_slots: planner.services.room.used.slots,
  backends: planner.services.room.used.backends,
  maglev_tables: planner.services.room.used.maglevTables,
  service_sockets: accounts.swept?.services?.sockets ?? 0,
  service_clients: accounts.swept?.services?.clients ?? 0,
});

const processStatus = ({ current, account }: ProcessReporting): Record<string, unknown> | null => {
  const told = account();
  if (!current || !told) return null;
  return {
    running: current.cache.running,
    events: current.counters(),
    produced: told.produced,
    lost_ring: told.lostRing,
    lost_by_kind: told.lostByKind,
    next_seq: told.nextSeq,
    spool: told.spool,
  };
};

export const heardOf = (configuration: Configuration): Record<string, number | undefined> =>
  Object.fromEntries(PUBLISHERS.map((name) => [name, configuration.lastHeartbeatMs(name)]));

export const statusOf = (sources: StatusSources): Record<string, unknown> => {
  const { platform, configuration, link, pump, accounts } = sources;
  const { realised, errors, workloads, healthEndpoint } = sources.report();
  return {
    host: sources.hostId,
    version: VERSION,
    boot: sources.boot,
    uptime_s: Math.round((Date.now() - sources.startedMs) / 1000),
    kernel: platform.kernelVersion,
    features: platform.features,
    bus: { connected: link.connected, server: link.bus?.nc.getServer() ?? null },
    configuration: {
      complete: configuration.complete,
      positions: configuration.positions(),
      last_heartbeat_ms: heardOf(configuration),
      ...configuration.stats(),
    },
    realised,
    policies_with_a_time: sources.planner.policies.timed().map(({ key, standing, nextChangeMs }) => ({
      ...{ key, standing },
      next_change: nextChangeMs === undefined ? null : new Date(nextChangeMs).toISOString(),
    })),
    errors,
    workloads: { ready: workloads.filter(({ state }) => state === 'ready').length, total: workloads.length },
    health_endpoint: healthEndpoint
      ? { state: healthEndpoint.state, message: healthEndpoint.message, netns: sources.healthNetns }
      : null,
    maps: { used: usedOf(sources), capacity: platform.capacity },
    flows: {
      produced: accounts.produced,
      lost_ring: accounts.lostRing,
      lost_throttle: accounts.lostThrottle,
      next_seq: accounts.nextSeq,
      spool: pump.stats(),
    },
    processes: processStatus(sources.processes),
    uplinks: platform.uplinks().interfaces,
    egress_limiter: platform.kernel.pacing.state,
    encryption: {
      public_key: platform.kernel.encryption.publicKey || null,
      hosts: sources.planner.encryption.plan.states,
    },
    host_firewall: sources.hostFirewall.status(),
    throttles: sources.throttles.reports,
    repairs: sources.inspector.repairs,
    counters: accounts.counters.named,
  };
};
