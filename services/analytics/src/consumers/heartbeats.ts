// SPDX-License-Identifier: Apache-2.0
/**
 * Agents' heartbeats say what they produced and what they lost; here that is kept beside what was stored, so that
 * every event is accounted for. Heartbeats of a second are saved together. Replicas share them.
 */
import type { Msg } from '@nats-io/nats-core';
import { type Bus, type EventKind, subjects } from '@weir/bus';
import type { AgentHeartbeat, EventCounts } from '@weir/proto/weir/bus/v1/agent_pb.js';
import { logger } from '@weir/telemetry';
import type pg from 'pg';
import { saveSpooledBoots } from '../store/accounting.ts';
import type { Hosts } from '../store/hosts.ts';
import { KINDS } from '../store/kinds.ts';
import { type RunReport, saveReports, settleHosts } from '../store/runs.ts';
import { publishWatermarks } from './watermarks.ts';

export interface HeartbeatOptions {
  readonly bus: Bus;
  readonly pool: pg.Pool;
  readonly hosts: Hosts;
  readonly flushMs?: number;
}

const FLUSH_MS = 1_000;
/** While Postgres is away the newest heartbeat of each host waits; this many hosts at most. */
const WAITING_MAX = 20_000;
/** Runs with something in a spool; of a host with more, the others look as if nothing of them were left. */
const BOOTS_MAX = 1_000;

const log = logger('analytics.heartbeats');

interface KindReport extends RunReport {
  readonly spooledBoots: readonly number[];
}

/** Of a host: one of each kind that it tells of. */
type Report = { readonly host: string } & { readonly [Kind in EventKind]?: KindReport };

/** Undefined when a number is not one that an agent can have counted. */
const kindReport = (
  host: string,
  boot: bigint,
  flows: EventCounts | undefined,
  spooledBoots: readonly bigint[],
): KindReport | undefined => {
  if (boot === 0n || flows === undefined) return undefined;
  const numbers = [
    boot,
    flows.produced,
    flows.lostRing,
    flows.lostSpool,
    flows.lostThrottle,
    flows.published,
    flows.nextSeq,
    flows.committedSeq,
  ];
  if (numbers.some((value) => value > BigInt(Number.MAX_SAFE_INTEGER))) return undefined;
  return {
    host,
    boot: Number(boot),
    produced: Number(flows.produced),
    lostRing: Number(flows.lostRing),
    lostSpool: Number(flows.lostSpool),
    lostThrottle: Number(flows.lostThrottle),
    published: Number(flows.published),
    nextSeq: Number(flows.nextSeq),
    releasedSeq: Number(flows.committedSeq),
    spooledBoots: spooledBoots.slice(0, BOOTS_MAX).map(Number),
  };
};

const reportOf = (host: string, heartbeat: AgentHeartbeat): Report => {
  const { boot, flows, processes } = heartbeat;
  const flow = kindReport(host, boot, flows, heartbeat.spooledBoots);
  const process = kindReport(host, boot, processes, heartbeat.processesSpooledBoots);
  return { host, ...(flow ? { flow } : {}), ...(process ? { process } : {}) };
};

export const consumeHeartbeats = ({
  bus,
  pool,
  hosts,
  flushMs = FLUSH_MS,
}: HeartbeatOptions): { stop(): Promise<void> } => {
  const waiting = new Map<string, Report>();
  let running: Promise<void> | undefined;

  const receive = (msg: Msg): void => {
    const host = subjects.hb.parse(msg.subject)?.host;
    if (host === undefined) return;
    try {
      const report = reportOf(host, subjects.hb.decode(msg.data, msg.subject));
      if (!report.flow && !report.process) return;
      if (waiting.has(host) || waiting.size < WAITING_MAX) waiting.set(host, report);
    } catch (error) {
      log.warn({ error, host }, 'a heartbeat could not be read');
    }
  };

  const save = async (kind: EventKind, reports: readonly KindReport[]): Promise<void> => {
    if (reports.length === 0) return;
    const tables = KINDS[kind];
    await saveReports(pool, tables, hosts, reports);
    await saveSpooledBoots(pool, tables, hosts, reports);
    const names = reports.map(({ host }) => host);
    publishWatermarks(bus, kind, await settleHosts(pool, tables, hosts, names));
  };

  const flush = async (): Promise<void> => {
    if (waiting.size === 0) return;
    const reports = [...waiting.values()];
    try {
      for (const kind of ['flow', 'process'] as const)
        await save(
          kind,
          reports.flatMap((report) => report[kind] ?? []),
        );
      for (const report of reports) if (waiting.get(report.host) === report) waiting.delete(report.host);
    } catch (error) {
      log.warn({ error, heartbeats: reports.length }, 'heartbeats could not be saved; they are kept');
    }
  };

  const subscription = bus.nc.subscribe(subjects.hb.wildcard, {
    queue: 'analytics',
    callback: (error, msg) => {
      if (error) log.warn({ error }, 'heartbeats cannot be read from the bus');
      else receive(msg);
    },
  });
  const timer = setInterval(() => {
    running ??= flush().finally(() => {
      running = undefined;
    });
  }, flushMs);
  return {
    stop: async () => {
      subscription.unsubscribe();
      clearInterval(timer);
      await running;
    },
  };
};
