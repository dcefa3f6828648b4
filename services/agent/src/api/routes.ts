// SPDX-License-Identifier: Apache-2.0
/** What the local API answers. */
import { weir_workload_flags } from '@weir/bpf';
import { policyRows } from '@weir/bpf/policy-table';
import { weirError } from '@weir/errors';
import { protocolName } from '@weir/net';
import { metricsText } from '@weir/telemetry';
import type { HostDatapath } from '../apply/host.ts';
import { showPrefix } from '../apply/kernel/prefixes.ts';
import type { HostFirewallGuard } from '../host-firewall/guard.ts';
import { HOST_ENDPOINT } from '../plan/host-policy.ts';
import type { Planner } from '../plan/planner.ts';
import type { Platform } from '../platform.ts';
import type { ProcessCache } from '../processes/cache.ts';
import type { Report } from '../report/report.ts';
import type { ServiceCounter } from '../report/service-counts.ts';
import type { Runtime } from '../runtime/start.ts';
import { hostFirewallAction } from './host-firewall.ts';
import { showProcess, showProcesses } from './processes.ts';
import { showRuntime } from './runtime.ts';
import type { LocalRequest, LocalTables } from './server.ts';
import { endpoint, listServices } from './services.ts';

export interface LocalSources {
  readonly platform: Platform;
  readonly host: HostDatapath;
  readonly planner: Planner;
  readonly report: () => Report;
  readonly status: () => unknown;
  /** How this host reaches the others. */
  readonly health: () => unknown;
  /** Which backends it asks, and what they answered. */
  readonly checks: () => unknown;
  readonly counter: ServiceCounter;
  readonly hostFirewall: HostFirewallGuard;
  /** For which addresses of services this host answers, or would. */
  readonly announcements: () => unknown;
  /** Sessions with routers. */
  readonly bgp: () => unknown;
  /** Undefined where processes are not watched. */
  readonly processes: () => ProcessCache | undefined;
  readonly runtime: Runtime;
}

const LIMIT_DEFAULT = 1_000;
const LIMIT_MAX = 100_000;

const limitOf = ({ query }: LocalRequest): number => {
  const text = query.get('limit') ?? String(LIMIT_DEFAULT);
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw weirError('INVALID_ARGUMENT', `limit ${JSON.stringify(text)} is not a number from 1 to ${LIMIT_MAX}`, {
    field: 'limit',
    value: text,
    fix: `give a number from 1 to ${LIMIT_MAX}`,
  });
};

const flagNames = (flags: number): string[] =>
  Object.entries(weir_workload_flags)
    .filter(([, bit]) => flags & bit)
    .map(([name]) => name.replace('WORKLOAD_', '').toLowerCase());

const workloads = ({ host, platform, report }: LocalSources): unknown => ({
  items: report().workloads.map((workload) => {
    const wired = host.wired.get(workload.id);
    return {
      ...workload,
      interface: wired && wired.wiring.cgroup === '' ? wired.wiring.ifname : null,
      ifindex: wired?.ifindex ?? null,
      netns: wired?.wiring.netns || null,
      cgroup: wired?.wiring.cgroup || null,
      ip4: wired?.value.ip4 ?? null,
      ip6: wired?.value.ip6 ?? null,
      mac: wired?.value.mac ?? null,
      flags: flagNames(wired?.value.flags ?? 0),
      policy_revision: wired?.value.revision ?? null,
      bandwidth: wired?.bandwidth
        ? {
            egress_bits_per_second: wired.bandwidth.egress * 8,
            ingress_bits_per_second: wired.bandwidth.ingress * 8,
            egress_by: platform.kernel.pacing.state.kind || null,
            ingress_by: 'token-bucket',
          }
        : null,
    };
  }),
});

/** Straight from the kernel, with what each entry has counted. */
const policy = async ({ host, platform }: LocalSources, { rest }: LocalRequest): Promise<unknown> => {
  const id = rest.join('/');
  const wired = id === HOST_ENDPOINT ? host.own : host.wired.get(id);
  if (!wired) {
    throw weirError('NOT_FOUND', `no workload ${JSON.stringify(id)} is connected on this host`, {
      field: 'id',
      value: id,
      fix: `use one of ${[...host.wired.keys()].slice(0, 20).join(', ') || 'none: there is no workload'}`,
    });
  }
  const table = await platform.kernel.maps.readPolicy(wired.ifindex);
  return {
    id,
    flags: flagNames(wired.value.flags),
    revision: wired.value.revision,
    entries: (table ? policyRows(table) : []).map(({ portPrefixBits, ruleId, ...row }) => ({
      ...row,
      protocol: row.protocol === 0 ? 'ANY' : protocolName(row.protocol),
      port_prefix_bits: portPrefixBits,
      rule_id: ruleId,
    })),
  };
};

const ipcache = ({ planner }: LocalSources, request: LocalRequest): unknown => {
  const limit = limitOf(request);
  const items: unknown[] = [];
  for (const [key, { identity, host4 }] of planner.ipcache.entries()) {
    if (items.length === limit) break;
    const bytes = [host4 >>> 24, (host4 >>> 16) & 0xff, (host4 >>> 8) & 0xff, host4 & 0xff];
    items.push({ prefix: showPrefix(key), identity, host: host4 === 0 ? null : bytes.join('.') });
  }
  return { total: planner.ipcache.size, items };
};

const conntrack = async ({ platform }: LocalSources, request: LocalRequest): Promise<unknown> => ({
  items: (await platform.connections(limitOf(request))).map((connection) => ({
    ...connection,
    protocol: protocolName(connection.protocol),
  })),
});

const nat = async ({ platform }: LocalSources, request: LocalRequest): Promise<unknown> => {
  const facts = await platform.nat(limitOf(request));
  if (!facts) return { masquerading: false, items: [] };
  const { mappings, ports, ...rest } = facts;
  return {
    masquerading: true,
    ports: `${ports.low}-${ports.high}`,
    ...rest,
    interfaces: platform.uplinks().interfaces,
    items: mappings.map((mapping) => ({ ...mapping, protocol: protocolName(mapping.protocol) })),
  };
};

const services = async ({ platform, planner }: LocalSources, request: LocalRequest): Promise<unknown> => {
  const limit = limitOf(request);
  const held = await platform.kernel.services.peek();
  const shown = listServices(held, (number) => planner.services.nameOf(number), limit);
  return { ...shown, acceleration: platform.acceleration() ?? null };
};

const serviceStats = async ({ platform, counter }: LocalSources, request: LocalRequest): Promise<unknown> => {
  const held = await platform.kernel.services.peek();
  return counter.list(limitOf(request), (number) => {
    const backend = held?.backends.get(number);
    return backend ? endpoint(backend.address, backend.port) : String(number);
  });
};

const prefilter = async ({ platform }: LocalSources): Promise<unknown> =>
  (await platform.prefilter()) ?? { revision: null, cidrs: [], interfaces: [] };

const processes = (sources: LocalSources, request: LocalRequest): unknown => {
  const cache = sources.processes();
  if (!cache) return { watched: false, running: 0, total: 0, items: [] };
  const [which] = request.rest;
  return which === undefined ? { watched: true, ...showProcesses(cache, limitOf(request)) } : showProcess(cache, which);
};

export const localRoutes = (sources: LocalSources): LocalTables => ({
  post: { 'host-firewall': (request) => hostFirewallAction(sources.hostFirewall, request) },
  get: {
    'host-firewall': () => sources.hostFirewall.status(),
    status: () => sources.status(),
    health: () => sources.health(),
    checks: () => sources.checks(),
    announcements: () => sources.announcements(),
    bgp: () => sources.bgp(),
    workloads: () => workloads(sources),
    policy: (request) => policy(sources, request),
    ipcache: (request) => ipcache(sources, request),
    conntrack: (request) => conntrack(sources, request),
    nat: (request) => nat(sources, request),
    prefilter: () => prefilter(sources),
    services: (request) => services(sources, request),
    'service-stats': (request) => serviceStats(sources, request),
    processes: (request) => processes(sources, request),
    runtime: (request) => showRuntime(sources.runtime, limitOf(request)),
    metrics: () => metricsText(),
  },
});
