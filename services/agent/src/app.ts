// SPDX-License-Identifier: Apache-2.0
/**
 * Builds the agent on a platform: what was left on the host is taken over first, then the configuration on disk is
 * applied, then the bus is sought. Nothing here waits for the bus: a host whose control plane is away is enforced.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { serveAgent, type Verify } from '@weir/bus';
import { counter, histogram, logger, startTelemetry } from '@weir/telemetry';
import { createAnnouncing } from './announce/start.ts';
import { localRoutes } from './api/routes.ts';
import { serveLocalApi } from './api/server.ts';
import { killingFailpoint, type ReachFailpoint } from './apply/failpoint.ts';
import { HostDatapath } from './apply/host.ts';
import { connectionOffset, FIRST_SEQ, nextBoot } from './boot.ts';
import { BusLink } from './bus-link.ts';
import { Healthz } from './checks/healthz.ts';
import { CHECKS_FEATURE, type Checks, startChecks } from './checks/start.ts';
import { type AgentConfig, failsafePortsOf } from './config.ts';
import { EventPump } from './events/pump.ts';
import { spooledBoots } from './events/spooled-boots.ts';
import { startHealthMesh } from './health/start.ts';
import { startHostFirewall } from './host-firewall/start.ts';
import { every, type Loop } from './loops/every.ts';
import { Inspector } from './loops/inspector.ts';
import { Reconciler } from './loops/reconciler.ts';
import { observeAgent } from './metrics.ts';
import { egressNumbers } from './plan/egress.ts';
import { HostNumbers, LocalIds } from './plan/numbers.ts';
import { Planner } from './plan/planner.ts';
import { addressesOfServers } from './plan/service-addresses.ts';
import type { Platform } from './platform.ts';
import { probeHandlers } from './probe.ts';
import { reportProcesses } from './processes/reporting.ts';
import { Accounts } from './report/accounts.ts';
import { AckReporter } from './report/ack.ts';
import { HEARTBEAT_MS, publishAgentHeartbeat, VERSION } from './report/heartbeat.ts';
import { HostFirewallReport } from './report/host-firewall.ts';
import type { Report } from './report/report.ts';
import { startCounting } from './report/service-counts.ts';
import { Stages } from './report/stages.ts';
import { heardOf, statusOf, usedOf } from './report/status.ts';
import { ThrottleWatch } from './report/throttles.ts';
import { startRuntime } from './runtime/start.ts';
import { ConfigLog } from './sources/config-log.ts';
import { Configuration } from './sources/configuration.ts';
import { listenerOf } from './sources/listener.ts';
import { StateFile } from './state-file.ts';

export interface AgentOptions {
  readonly config: AgentConfig;
  readonly platform: Platform;
  readonly reach?: ReachFailpoint;
  /** Spreads snapshots of many agents; ms. */
  readonly jitterMs?: number;
  /** Instead of verifySigned: of many agents in one process one does it for all. */
  readonly verify?: Verify | undefined;
}

export interface Agent {
  readonly boot: bigint;
  readonly metricsUrl: string | undefined;
  report(): Report;
  status(): Record<string, unknown>;
  /** Ends the agent; the datapath stays. */
  close(): Promise<void>;
}

const SWEEP_MS = 1_000;
const OVERDUE_MS = 10_000;
/** Names of the bus's servers are looked up again so often. */
const CONTROL_MS = 30_000;

type Trouble = (what: string, cause: unknown) => void;

export const createAgent = async ({ config, platform, reach, jitterMs, verify }: AgentOptions): Promise<Agent> => {
  const log = logger('agent');
  const startedMs = Date.now();
  const onTrouble: Trouble = (what, cause) => {
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
  const again = () => reconciler.trigger();
  const { guard: hostFirewall, control } = await startHostFirewall({ config, onTrouble, bus: () => bus(), again });
  const hostFirewallReport = new HostFirewallReport(hostFirewall);
  const planner = new Planner({
    host: config.host,
    allowHost: config.hostAccess === 'always',
    maxEntries: platform.capacity.policy,
    maxCidrs: platform.capacity.cidrs,
    maxIpcache: platform.capacity.ipcache,
    maxServices: config.maxServices,
    localIds,
    hostNumbers: new HostNumbers(stateFile.state.hostNumbers),
    egressNumbers: egressNumbers(stateFile.state),
    healthNetns: platform.healthEndpoint && config.healthNetns,
    controlAddresses: addressesOfServers(config.natsUrl),
    hostPolicy: { choose: (current) => hostFirewall.choose(current), ...failsafePortsOf(config) },
  });
  for (const [prefix, identity] of host.cidrs) planner.cidrIds.adopt(prefix, identity);

  /** Set last, and asked for from the first round of probes on. */
  let linked: BusLink | undefined;
  const bus = () => (linked?.connected ? linked.bus : undefined);
  const health: ReturnType<typeof startHealthMesh> | undefined =
    platform.ping &&
    startHealthMesh({
      host: config.host,
      boot,
      ping: platform.ping,
      endpoint: platform.healthEndpoint?.(config.healthNetns),
      bus,
      onWatched: again,
      onTrouble,
    });
  const checks: Checks | undefined =
    platform.ping &&
    startChecks({
      host: config.host,
      boot,
      ping: platform.ping,
      bus,
    });
  // Simulated hosts have no ports of their own.
  const healthz = platform.ping && new Healthz({ host: config.host, onTrouble });
  const announcing = createAnnouncing({
    ...{ config, boot, platform, bus, onTrouble },
    isComplete: () => configuration.complete,
  });
  const followers = [health?.mesh, checks, healthz, ...announcing.followers].filter((one) => one !== undefined);
  const arrivals: number[] = [];
  const stages = new Stages(config.host);
  const ack = new AckReporter({
    host: config.host,
    boot,
    stages,
    onFailure: (error) => onTrouble('an ack did not reach the bus; it is said again', error),
  });
  platform.kernel.cgroups.onChange(() => reconciler.trigger());
  const processes = await reportProcesses({
    ...{ config, platform, boot, stateFile, onTrouble, report: () => reconciler.report },
    spoolDir: join(config.stateDir, 'process-spool'),
    netnsOf: () => [...host.wired].map(([id, { wiring }]) => [id, wiring.netns] as const),
  });
  const runtime = startRuntime({ platform, processes, onTrouble });
  const reconciler: Reconciler = new Reconciler({
    planner,
    host,
    stateFile,
    isComplete: () => configuration.complete,
    positions: () => configuration.positions(),
    persisted: () => configLog.flushed(),
    hostAddresses: () => platform.hostAddresses(),
    hostSubnets: () => platform.hostSubnets(),
    health: health?.mesh,
    encryptionFacts: () => platform.encryptionFacts(),
    control: () => control.known,
    ...{ hostFirewall, runtime: runtime.realise },
    readIpcache: () => platform.kernel.maps.readIpcache(),
    resyncMs: config.resyncS * 1000,
    onRealised: (documents, times) => stages.realised(documents, times),
    onReport: (report) => ack.say(report),
    onPass: ({ durationMs, ok, swapped, committed }) => {
      histogram('weir_agent_pass_duration_seconds').record(durationMs / 1000, { outcome: ok ? 'ok' : 'failed' });
      counter('weir_agent_policy_swaps_total').add(swapped);
      if (linked) tellKey(); // before that the first heartbeat will
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
    verify,
    listener: listenerOf(planner, reconciler, arrivals, onTrouble, () => followers),
  });
  configuration.restore();
  if (!configuration.complete)
    log.info('no whole configuration on disk: workloads wait, closed, until the bus is reached');

  const connectionOffsetNs = await connectionOffset(stateFile, platform.clockOffsetNs);
  const pump = await EventPump.start({
    host: config.host,
    boot,
    kind: 'flow',
    spoolDir,
    spoolMaxBytes: config.spoolMaxBytes,
    source: (made) => platform.startEvents({ ...made, connectionOffsetNs }),
    onTrouble,
  });
  const accounts = await Accounts.open(platform, stateFile, pump);
  const throttles = new ThrottleWatch({
    platform,
    workloadOf: (ifindex) => {
      const wired = [...host.wired].find(([, { ifindex: own }]) => own === ifindex);
      return wired && { id: wired[0], localId: wired[1].value.localId };
    },
    onStart: (throttle) =>
      log.warn({ throttle }, 'a workload reports more than its limit; its events are counted instead'),
    onStop: (throttle) => log.info({ throttle }, 'a workload is no longer throttled'),
  });

  const counting = startCounting(platform.kernel.services, planner.services, onTrouble);

  /** A heartbeat of a publisher can show that there is nothing more to wait for, without any document. */
  const followPositions = (): void => {
    const { realised } = reconciler.report;
    const ahead = Object.entries(configuration.positions()).some(
      ([name, { revision }]) => revision > (realised[name] ?? 0n),
    );
    if (ahead && reconciler.idleMs > HEARTBEAT_MS / 2) reconciler.trigger();
  };
  const heartbeat = async (): Promise<void> => {
    followPositions();
    await accounts.read();
    if (!link.bus || !link.connected) return;
    const processAccount = processes.account();
    publishAgentHeartbeat(link.bus, {
      host: config.host,
      boot,
      kernel: platform.kernelVersion,
      features: checks ? [...platform.features, CHECKS_FEATURE] : platform.features,
      wireguardKey: platform.kernel.encryption.publicKey,
      report: reconciler.report,
      counters: accounts.counters,
      repairs: inspector.repairs.total,
      spool: pump.stats(),
      nextSeq: accounts.nextSeq,
      firstSeq: FIRST_SEQ,
      lostRing: accounts.lostRing,
      lostThrottle: accounts.lostThrottle,
      throttles: throttles.reports,
      spooledBoots: await spooledBoots(spoolDir, boot),
      processes: processAccount,
      processesSpooledBoots: await processes.spooledBoots(),
      egressLimiter: platform.kernel.pacing.state,
      bgpPeers: announcing.bgpPeers,
      serviceCounts: counting.counter.toTell(),
      hostFirewall: hostFirewallReport.toTell(),
    });
    await accounts.told();
    await processes.told(processAccount);
  };
  const heartbeatFailed = (error: unknown): void => onTrouble('a heartbeat failed', error);
  let toldKey = '';
  /** The others wait for it. */
  const tellKey = (): void => {
    const { publicKey } = platform.kernel.encryption;
    if (publicKey === toldKey) return;
    toldKey = publicKey;
    heartbeat().catch(heartbeatFailed);
  };
  const link: BusLink = new BusLink({
    host: config.host,
    servers: config.natsUrl,
    nkeySeed: config.natsSeed,
    onFirst: (bus) => {
      log.info({ server: bus.nc.getServer() }, 'connected to the bus');
      configuration.connect(bus);
      pump.connect(bus);
      processes.connect(bus);
      ack.connect(bus);
      checks?.again();
      announcing.connected();
      serveAgent(bus.nc, config.host, probeHandlers({ platform, wired: host.wired }));
      heartbeat().catch(heartbeatFailed);
    },
    onLost: () => {
      log.warn('the connection to the bus is lost; the host goes on, events are kept');
      pump.disconnected();
      processes.disconnected();
    },
    onBack: () => {
      log.info('the connection to the bus is back');
      pump.reconnected();
      processes.reconnected();
      ack.again();
      checks?.again();
      announcing.connected();
    },
    onTrouble,
  });
  linked = link;

  const inspector = new Inspector({
    ...{ platform, host },
    others: async () => [...((await processes.current?.inspect()) ?? []), ...(await runtime.inspect())],
    reconciler,
    onProblem: (problem) => log.warn(`${problem}; repaired`),
    onTrouble,
  });
  const tick = (): void => {
    pump.tick();
    processes.tick();
  };
  const sweep = async (): Promise<void> => {
    const startMs = performance.now();
    await accounts.sweep();
    await throttles.read();
    histogram('weir_agent_sweep_duration_seconds').record((performance.now() - startMs) / 1000);
  };
  const loops: Loop[] = [
    every(HEARTBEAT_MS, heartbeat, heartbeatFailed),
    every(SWEEP_MS, sweep, (error) => onTrouble('connections could not be swept', error)),
    every(OVERDUE_MS, tick, heartbeatFailed),
    every(CONTROL_MS, () => control.look(), heartbeatFailed),
  ];
  const report = (): Report => reconciler.report;
  const stopMetrics = observeAgent({
    report,
    counters: () => accounts.counters,
    sweep: () => accounts.swept,
    spool: () => pump.stats(),
    flows: () => accounts,
    throttles: () => throttles.reports,
    processes: () => processes,
    used: () => usedOf({ host, planner, accounts, report }),
    capacity: platform.capacity,
    services: () => counting.counter.services,
    connected: () => link.connected,
    heard: () => heardOf(configuration),
  });
  const status = () =>
    statusOf({
      hostId: config.host,
      healthNetns: config.healthNetns,
      ...{ boot, startedMs, platform, host, planner, configuration },
      ...{ link, pump, accounts, throttles, inspector, report, hostFirewall },
      processes,
    });
  const api = config.socket
    ? await serveLocalApi(
        config.socket,
        localRoutes({
          ...{ platform, host, planner, report, status },
          health: () => health?.mesh.summary ?? null,
          checks: () => checks?.list() ?? null,
          counter: counting.counter,
          hostFirewall,
          ...announcing.routes,
          processes: () => processes.current?.cache,
          runtime,
        }),
      )
    : undefined;

  reconciler.trigger();
  announcing.start();
  return {
    boot,
    metricsUrl: telemetry.metricsUrl,
    report,
    status,
    close: async () => {
      await inspector.stop();
      await health?.stop();
      checks?.stop();
      await healthz?.stop();
      await announcing.stop();
      for (const loop of [...loops, ...counting.loops]) await loop.stop();
      await configuration.stop();
      await hostFirewall.stop();
      await reconciler.stop();
      ack.stop();
      for (const one of [runtime, processes, pump, link]) await one.stop();
      await api?.close();
      await configLog.close();
      stopMetrics();
      await platform.close();
      await telemetry.shutdown();
    },
  };
};
