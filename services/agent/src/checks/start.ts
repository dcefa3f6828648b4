// SPDX-License-Identifier: Apache-2.0
/** The health checks of an agent, with where their results go: the bus, metrics, the local API. */
import type { ConfigEntry } from '@weir/bus';
import { counter, observe } from '@weir/telemetry';
import type { Ping } from '../health/round.ts';
import { Checker } from './checker.ts';
import { Echo } from './echo.ts';
import { proberWith } from './probe.ts';
import { CheckReporter, type CheckReporterOptions } from './report.ts';
import { kindName } from './targets.ts';

/** In `features` of heartbeats: inventory gives backends to such hosts only. */
export const CHECKS_FEATURE = 'health-checks';

export interface Checks {
  reset(entries: readonly ConfigEntry[]): void;
  change(entry: ConfigEntry): void;
  /** The bus is there, or back: what was decided meanwhile was not heard. */
  again(): void;
  /** For the local API. */
  list(): unknown;
  stop(): void;
}

const view = (checker: Checker) =>
  [...checker.facts()].map(({ target, verdict, against, lastMs, lastReason }) => ({
    ...{ service: target.serviceId, backend: target.backend, address: target.address, port: target.port },
    ...{ kind: kindName(target.check), host: target.hostId || null },
    health: verdict === undefined ? 'unknown' : verdict.healthy ? 'healthy' : 'unhealthy',
    decided_ms: verdict?.decidedMs ?? null,
    /** In a row, that say the opposite. */
    ...{ against, last_ms: lastMs || null, last_failure: lastReason || null },
  }));

export const startChecks = ({ ping, ...options }: CheckReporterOptions & { readonly ping: Ping }): Checks => {
  const reporter = new CheckReporter(options);
  const echo = new Echo(ping);
  const checker = new Checker({
    host: options.host,
    probe: proberWith(echo),
    answers: async (addresses, timeoutMs) =>
      (await Promise.all(addresses.map((address) => echo.ask(address, timeoutMs)))).some(({ ok }) => ok),
    onVerdict: (verdict) => reporter.say(verdict),
    onOutcome: ({ check }, { ok }) =>
      counter('weir_agent_checks_total').add(1, { kind: kindName(check), outcome: ok ? 'ok' : 'failed' }),
  });
  reporter.follow(checker);
  const stops = [
    observe('weir_agent_checked_backends', (result) => {
      const counts = { healthy: 0, unhealthy: 0, unknown: 0 };
      for (const { verdict } of checker.facts()) {
        counts[verdict === undefined ? 'unknown' : verdict.healthy ? 'healthy' : 'unhealthy'] += 1;
      }
      for (const [health, count] of Object.entries(counts)) result(count, { health });
    }),
    observe('weir_agent_checks_waiting', (result) => result(checker.waiting)),
  ];
  return {
    reset: (entries) => checker.reset(entries),
    change: (entry) => checker.change(entry),
    again: () => reporter.all(checker),
    list: () => ({ items: view(checker) }),
    stop: () => {
      for (const stop of stops) stop();
      checker.stop();
      reporter.stop();
    },
  };
};
