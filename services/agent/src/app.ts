// SPDX-License-Identifier: Apache-2.0
/**
 * Builds the agent on a platform: what was left on the host is taken over first, then the configuration on disk is
 * applied, then the bus is sought. Nothing here waits for the bus: a host whose control plane is away is enforced.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { counter, histogram, logger, startTelemetry } from '@weir/telemetry';
import { localRoutes } from './api/routes.ts';
import { serveLocalApi } from './api/server.ts';
import { killingFailpoint, type ReachFailpoint } from './apply/failpoint.ts';
import { HostDatapath } from './apply/host.ts';
import { connectionOffset, FIRST_SEQ, nextBoot } from './boot.ts';
import { BusLink } from './bus-link.ts';
import type { AgentConfig } from './config.ts';
import { EventPump } from './events/pump.ts';
import { every, type Loop } from './loops/every.ts';
import { Reconciler } from './loops/reconciler.ts';
import { observeAgent } from './metrics.ts';
import { LocalIds } from './plan/numbers.ts';
import { Planner } from './plan/planner.ts';
import type { Counters, Platform, SweepResult } from './platform.ts';
import { AckReporter } from './report/ack.ts';
import { HEARTBEAT_MS, publishAgentHeartbeat, VERSION } from './report/heartbeat.ts';
import type { Report } from './report/report.ts';
import { ConfigLog } from './sources/config-log.ts';
import { Configuration } from './sources/configuration.ts';
import { StateFile } from './state-file.ts';

export interface AgentOptions {
  readonly config: AgentConfig;
  readonly platform: Platform;
  readonly reach?: ReachFailpoint;
  /** Spreads snapshots of many agents; ms. */
  readonly jitterMs?: number;
}

export interface Agent {
  readonly boot: bigint;
  readonly metricsUrl: string | undefined;
  report(): Report;
  status(): Promise<Record<string, unknown>>;
  /** Ends the agent; the datapath stays. */
  close(): Promise<void>;
}

const SWEEP_MS = 1_000;
const DRIFT_MS = 5_000;
const OVERDUE_MS = 10_000;
const MONITOR_DEBOUNCE_MS = 100;
const NO_COUNTERS: Counters = { named: {}, eventsLost: 0n };
const PUBLISHERS = ['inventory', 'policy'];

export const createAgent = async ({ config, platform, reach, jitterMs }: AgentOptions): Promise<Agent> => {
  const log = logger('agent');
  const startedMs = Date.now();
  const onTrouble = (what: string, cause: unknown): void => {
    counter('weir_agent_trouble_total').add(1);
    log.warn(cause === undefined ? {} : { error: cause }, what);
  };
  const telemetry = await startTelemetry({ service: 'agent', version: VERSION, metricsPort: config.metricsPort });

  await mkdir(config.stateDir, { recursive: true, mode: 0o700 });
  const spoolDir = join(config.stateDir, 'spool');
  const stateFile = await StateFile.open(join(config.stateDir, 'state.json'), onTrouble);
  const boot = await nextBoot(spoolDir, stateFile);
  const { log: configLog, loaded } = await ConfigLog.open(join(config.stateDir, 'config.log'), onTrouble);
  if (loaded.damage) onTrouble(loaded.damage, undefined);

  // What an earlier agent left, with this agent's programs in the place of its.
  const host = new HostDatapath({
    kernel: platform.kernel,
    netnsIds: stateFile.state.netnsIds,
    reach: reach ?? (config.failpoint ? killingFailpoint(config.failpoint) : undefined),
    onTrouble,
  });
  await host.load();
  const localIds = new LocalIds(stateFile.state.localIds);
  for (const [ifname, id] of host.foundIds) localIds.adopt(ifname, id);
  const planner = new Planner({
    host: config.host,
    allowHost: config.hostAccess === 'always',
    maxEntries: platform.capacity.policy,
    maxCidrs: platform.capacity.cidrs,
    localIds,
  });
  for (const [prefix, identity] of host.cidrs) planner.cidrIds.adopt(prefix, identity);

  const arrivals: number[] = [];
  let hostAddresses: readonly string[] | undefined;
  const ack = new AckReporter({
    host: config.host,
    boot,
    onFailure: (error) => onTrouble('an ack did not reach the bus; it is said again', error),
  });
  const reconciler: Reconciler = new Reconciler({
    planner,
    host,
    stateFile,
    isComplete: () => configuration.complete,
    positions: () => configuration.positions(),
    persisted: () => configLog.flushed(),
    hostAddresses: async () => {
      hostAddresses ??= await platform.hostAddresses();
      return hostAddresses;
    },
    readIpcache: () => platform.kernel.maps.readIpcache(),
    resyncMs: config.resyncS * 1000,
    onReport: (report) => ack.say(report),
    onPass: ({ durationMs, ok, swapped, committed }) => {
      histogram('weir_agent_pass_duration_seconds').record(durationMs / 1000, { outcome: ok ? 'ok' : 'failed' });
      counter('weir_agent_policy_swaps_total').add(swapped);
      const now = performance.now();
      if (ok) {
        for (const at of arrivals.splice(0)) histogram('weir_agent_realise_duration_seconds').record((now - at) / 1000);
      }
      if (swapped + committed > 0)
        log.info({ durationMs: Math.round(durationMs), swapped, committed }, 'policy changed');
    },
    onTrouble,
  });

  const configuration = new Configuration({
    host: config.host,
    trustedKeys: config.trustedSigners,
    log: configLog,
    loaded,
    jitterMs,
    listener: {
      onReset: (entries) => {
        for (const { subject, document } of entries) reconciler.noteDocument(subject, document.revision);
        planner.reset(entries);
        reconciler.trigger();
      },
      onChange: (entry) => {
        arrivals.push(performance.now());
        reconciler.noteDocument(entry.subject, entry.document.revision);
        planner.change(entry);
        reconciler.trigger();
      },
      onError: (error, subject) => onTrouble(`configuration ${subject ?? ''} was refused`, error),
    },
  });
  const restored = configuration.restore();
  if (!configuration.complete)
    log.info('no whole configuration on disk: new workloads stay closed until the bus is reached');

  const pump = await EventPump.start({
    host: config.host,
    boot,
    spoolDir,
    spoolMaxBytes: config.spoolMaxBytes,
    connectionOffsetNs: await connectionOffset(stateFile, platform.clockOffsetNs),
    platform,
    onTrouble,
  });

  let counters = NO_COUNTERS;
  let swept: SweepResult | undefined;
  const readCounters = async (): Promise<void> => {
    counters = await platform.counters();
  };
  await readCounters();
  // Maps that were made anew count from nothing again.
  const reported = BigInt(stateFile.state.reportedLost);
  const lostBefore = reported <= counters.eventsLost ? reported : 0n;
  const lostRing = (): bigint => counters.eventsLost - lostBefore;

  const heartbeat = async (): Promise<void> => {
    await readCounters();
    if (!link.bus || !link.connected) return;
    publishAgentHeartbeat(link.bus, {
      host: config.host,
      boot,
      kernel: platform.kernelVersion,
      features: platform.features,
      report: reconciler.report,
      counters,
      spool: pump.stats(),
      nextSeq: pump.nextSeq,
      firstSeq: FIRST_SEQ,
      lostRing: lostRing(),
    });
    if (String(counters.eventsLost) !== stateFile.state.reportedLost) {
      await stateFile.save({ reportedLost: String(counters.eventsLost) });
    }
  };
  const link: BusLink = new BusLink({
    host: config.host,
    servers: config.natsUrl,
    nkeySeed: config.natsSeed,
    onFirst: (bus) => {
      log.info({ server: bus.nc.getServer() }, 'connected to the bus');
      configuration.connect(bus);
      pump.connect(bus);
      ack.connect(bus);
      void heartbeat().catch((error) => onTrouble('a heartbeat failed', error));
    },
    onLost: () => {
      log.warn('the connection to the bus is lost; the host goes on, events are kept');
      pump.disconnected();
    },
    onBack: () => {
      log.info('the connection to the bus is back');
      pump.reconnected();
      ack.again();
    },
    onTrouble,
  });

  const inspect = async (): Promise<void> => {
    hostAddresses = undefined;
    const problems = await reconciler.exclusively(async () => [
      ...(await host.inspect()),
      ...(await platform.repairPins()).map((name) => `the pin of map '${name}' was removed`),
    ]);
    if (problems.length === 0) return;
    counter('weir_agent_repairs_total').add(problems.length);
    for (const problem of problems) log.warn(`${problem}; repaired`);
    reconciler.trigger();
  };
  const sweep = async (): Promise<void> => {
    const startMs = performance.now();
    swept = await platform.sweep();
    histogram('weir_agent_sweep_duration_seconds').record((performance.now() - startMs) / 1000);
  };
  const loops: Loop[] = [
    every(HEARTBEAT_MS, heartbeat, (error) => onTrouble('a heartbeat failed', error)),
    every(SWEEP_MS, sweep, (error) => onTrouble('connections could not be swept', error)),
    every(DRIFT_MS, inspect, (error) => onTrouble('the host could not be inspected', error)),
    every(
      OVERDUE_MS,
      () => pump.tick(),
      () => {},
    ),
  ];
  let inspectSoon: NodeJS.Timeout | undefined;
  const monitor = platform.monitor(() => {
    inspectSoon ??= setTimeout(() => {
      inspectSoon = undefined;
      inspect().then(
        () => reconciler.trigger(),
        (error) => onTrouble('the host could not be inspected', error),
      );
    }, MONITOR_DEBOUNCE_MS);
  });

  const used = () => ({
    workloads: host.wired.size,
    addresses: host.wired.size * 2,
    ipcache: planner.ipcache.size,
    cidrs: host.cidrs.size,
    policy: [...host.wired.values()].reduce((most, { table }) => Math.max(most, table?.count ?? 0), 0),
    conntrack: swept?.entries ?? 0,
  });
  const heard = () => Object.fromEntries(PUBLISHERS.map((name) => [name, configuration.lastHeartbeatMs(name)]));
  const stopMetrics = observeAgent({
    report: () => reconciler.report,
    counters: () => counters,
    sweep: () => swept,
    spool: () => pump.stats(),
    flows: () => ({ taken: pump.nextSeq - FIRST_SEQ, lostRing: lostRing() }),
    used,
    capacity: platform.capacity,
    connected: () => link.connected,
    heard,
  });

  const status = async (): Promise<Record<string, unknown>> => ({
    host: config.host,
    version: VERSION,
    boot,
    uptime_s: Math.round((Date.now() - startedMs) / 1000),
    kernel: platform.kernelVersion,
    features: platform.features,
    bus: { connected: link.connected, server: link.bus?.nc.getServer() ?? null },
    configuration: {
      complete: configuration.complete,
      restored_documents: restored,
      positions: configuration.positions(),
      last_heartbeat_ms: heard(),
      ...configuration.stats(),
    },
    realised: reconciler.report.realised,
    errors: reconciler.report.errors,
    workloads: {
      ready: reconciler.report.workloads.filter(({ state }) => state === 'ready').length,
      total: reconciler.report.workloads.length,
    },
    maps: { used: used(), capacity: platform.capacity },
    flows: {
      produced: pump.nextSeq - FIRST_SEQ + lostRing(),
      lost_ring: lostRing(),
      next_seq: pump.nextSeq,
      spool: pump.stats(),
    },
    counters: counters.named,
  });
  const api = config.socket
    ? await serveLocalApi(
        config.socket,
        localRoutes({ platform, host, planner, report: () => reconciler.report, status }),
      )
    : undefined;

  reconciler.trigger();
  return {
    boot,
    metricsUrl: telemetry.metricsUrl,
    report: () => reconciler.report,
    status,
    close: async () => {
      clearTimeout(inspectSoon);
      await monitor.stop();
      for (const loop of loops) await loop.stop();
      await configuration.stop();
      await reconciler.stop();
      ack.stop();
      await pump.stop();
      await link.stop();
      await api?.close();
      await configLog.close();
      stopMetrics();
      await platform.close();
      await telemetry.shutdown();
    },
  };
};
