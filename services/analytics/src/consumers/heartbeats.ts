// SPDX-License-Identifier: Apache-2.0
/**
 * Agents' heartbeats say what they produced and what they lost; here that is kept beside what was stored, so that
 * every flow is accounted for. Heartbeats of a second are saved together. Replicas share them.
 */
import type { Msg } from '@nats-io/nats-core';
import { type Bus, subjects } from '@weir/bus';
import type { AgentHeartbeat } from '@weir/proto/weir/bus/v1/agent_pb.js';
import { logger } from '@weir/telemetry';
import type pg from 'pg';
import { saveSpooledBoots } from '../store/accounting.ts';
import type { Hosts } from '../store/hosts.ts';
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

interface Report extends RunReport {
  readonly spooledBoots: readonly number[];
}

/** Undefined when a number is not one that an agent can have counted. */
const reportOf = (host: string, { boot, flows, spooledBoots }: AgentHeartbeat): Report | undefined => {
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
      if (report === undefined) return;
      if (waiting.has(host) || waiting.size < WAITING_MAX) waiting.set(host, report);
    } catch (error) {
      log.warn({ error, host }, 'a heartbeat could not be read');
    }
  };

  const flush = async (): Promise<void> => {
    if (waiting.size === 0) return;
    const reports = [...waiting.values()];
    try {
      await saveReports(pool, hosts, reports);
      await saveSpooledBoots(pool, hosts, reports);
      for (const report of reports) if (waiting.get(report.host) === report) waiting.delete(report.host);
      publishWatermarks(
        bus,
        await settleHosts(
          pool,
          hosts,
          reports.map(({ host }) => host),
        ),
      );
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
