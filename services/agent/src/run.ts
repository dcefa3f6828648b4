// SPDX-License-Identifier: Apache-2.0
/** What main.ts runs: settings, signals, the end. */
import { join } from 'node:path';
import { isWeirError } from '@weir/errors';
import { logger } from '@weir/telemetry';
import { createAgent } from './app.ts';
import { cleanup } from './apply/kernel/datapath.ts';
import { endpointPlace } from './apply/kernel/health-endpoint.ts';
import { kernelPlatform } from './apply/kernel/platform.ts';
import { type AgentConfig, loadAgentConfig, natPortsOf } from './config.ts';
import { lockHost } from './lock.ts';

/** After this the process ends although something did not; what is on disk and in the kernel is whole at any time. */
const CLOSE_MS = 4_000;

const log = logger('agent');

const fail = (error: unknown): never => {
  const facts = isWeirError(error)
    ? { fix: error.facts.fix, field: error.facts.field, issues: error.facts.issues, details: error.facts.details }
    : {};
  log.fatal({ error, ...facts }, (error as Error).message);
  process.exit(1);
};

const run = async (config: AgentConfig): Promise<void> => {
  await lockHost(config.bpffsDir);
  const platform = await kernelPlatform({
    bpffsDir: config.bpffsDir,
    uplink: config.uplink,
    maxConntrack: config.maxConntrack,
    maxCidrs: config.maxCidrs,
    maxIpcache: config.maxIpcache,
    ringBytes: config.ringBytes,
    eventsPerSecond: config.eventsPerSecond,
    natPorts: natPortsOf(config),
    maxNat: config.maxNat,
    maxServices: config.maxServices,
    maxServiceSockets: config.maxServiceSockets,
    maxServiceClients: config.maxServiceClients,
    cgroup: config.cgroup,
    ...(config.processes === 'on'
      ? { processes: { argsBytes: config.processArgsBytes, envBytes: config.processEnvBytes } }
      : {}),
    wireguardKeyPath: join(config.stateDir, 'wireguard.key'),
  });
  if (platform.replaced.length > 0) log.warn({ maps: platform.replaced }, 'pinned maps of another shape were replaced');
  const agent = await createAgent({ config, platform });
  log.info({ host: config.host, boot: String(agent.boot), socket: config.socket, metrics: agent.metricsUrl }, 'ready');
  let closing = false;
  const close = (signal: NodeJS.Signals): void => {
    if (closing) return;
    closing = true;
    log.info({ signal }, 'ending; the datapath stays');
    setTimeout(() => process.exit(0), CLOSE_MS).unref();
    agent.close().then(() => process.exit(0), fail);
  };
  process.once('SIGTERM', close);
  process.once('SIGINT', close);
};

export const main = async (args: readonly string[]): Promise<void> => {
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  const [option, ...more] = args;
  if (more.length > 0 || (option !== undefined && option !== '--cleanup')) {
    process.stderr.write('usage: main.ts [--cleanup]\n');
    process.exit(2);
  }
  const config = loadAgentConfig();
  if (option === undefined) return run(config);
  await lockHost(config.bpffsDir);
  await endpointPlace(config.healthNetns).remove();
  log.info(
    await cleanup(config.bpffsDir, undefined, natPortsOf(config)),
    'everything that agents of this host made is taken away',
  );
};
