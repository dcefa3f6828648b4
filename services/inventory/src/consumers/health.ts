// SPDX-License-Identifier: Apache-2.0
/**
 * health.<host>: what a host measured of the others in its last round. The newest of each host, written in one statement a
 * second; whose word it is, is told by the subject. One that can't be written is overtaken by the next round.
 */
import { type Bus, subjects } from '@weir/bus';
import type { Database } from '@weir/db';
import type { HealthReport } from '@weir/proto/weir/bus/v1/agent_pb.js';
import { counter } from '@weir/telemetry';
import { cleanBig, cleanCount, cleanText } from '../domain/reports.ts';
import { type NewReport, saveReports } from '../store/health.ts';
import type { Tables } from '../store/tables.ts';
import type { Consumer } from './heartbeats.ts';

const FLUSH_MS = 1_000;
const FIRST_FLUSH_MS = 50;
/** As many as an agent tells; a bound on a row. */
const PROBES_MAX = 1_000;
const SHORT = 256;
/** 8.64e15 ms is the last time that a Date can hold. */
const TIME_MAX_MS = 8.64e15;

const short = (text: string): string => cleanText(text).slice(0, SHORT);

const reportOf = (host: string, report: HealthReport, at: Date): NewReport => ({
  host_id: host,
  reported_at: at,
  boot: cleanBig(report.boot).toString(),
  interval_s: cleanCount(report.intervalS),
  hosts: cleanCount(report.hosts),
  unreachable_hosts: cleanCount(report.unreachableHosts),
  endpoints: cleanCount(report.endpoints),
  unreachable_endpoints: cleanCount(report.unreachableEndpoints),
  probes_total: cleanCount(report.probesTotal),
  unreachable_probes: cleanCount(report.unreachableProbes),
  probes: report.probes.slice(0, PROBES_MAX).map((probe) => ({
    host: short(probe.host),
    address: short(probe.address),
    kind: short(probe.kind),
    target: short(probe.target),
    latency_us: cleanCount(probe.latencyUs),
    error: short(probe.error),
    probed_ms: Math.min(Number(probe.probedMs), TIME_MAX_MS),
    failures: cleanCount(probe.failures),
  })),
});

export const consumeHealth = (bus: Bus, db: Database<Tables>, onError: (error: unknown) => void): Consumer => {
  const received = counter('weir_inventory_health_reports_total');
  const waiting = new Map<string, NewReport>();
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();
  let lastFlush = 0;

  const flush = (): void => {
    timer = undefined;
    lastFlush = Date.now();
    const reports = [...waiting.values()];
    waiting.clear();
    writing = writing.then(() => saveReports(db.kysely, reports)).catch(onError);
  };

  const subscription = bus.nc.subscribe(subjects.health.wildcard, {
    callback: (error, message) => {
      if (error) return onError(error);
      try {
        const host = subjects.health.parse(message.subject)?.host;
        if (host === undefined) return;
        received.add(1);
        waiting.set(host, reportOf(host, subjects.health.decode(message.data), new Date()));
        timer ??= setTimeout(flush, Date.now() - lastFlush > FLUSH_MS ? FIRST_FLUSH_MS : FLUSH_MS);
      } catch (failure) {
        onError(failure);
      }
    },
  });

  return {
    stop: async () => {
      subscription.unsubscribe();
      clearTimeout(timer);
      if (waiting.size > 0) flush();
      await writing;
    },
  };
};
