// SPDX-License-Identifier: Apache-2.0
/**
 * Simulated agents in one process: the settings of the real one, and
 * WEIR_SIM_HOSTS (names separated by commas; WEIR_AGENT_HOST unless given), WEIR_SIM_SEEDS (their nkey seeds in the
 * same order), WEIR_SIM_FLOWS (flow events per second of each), WEIR_SIM_FLOWS_TOTAL (after so many no more),
 * WEIR_SIM_REFUSED_EVERY (each so-many-th flow, by its number, was refused), WEIR_SIM_PROCESSES (made-up processes that
 * begin with it). The local API is that of the first.
 */
import { join } from 'node:path';
import { loadConfig } from '@weir/config';
import { logger } from '@weir/telemetry';
import { Type } from 'typebox';
import { createAgent } from '../app.ts';
import { loadAgentConfig } from '../config.ts';
import { simulatedPlatform } from './platform.ts';
import { sharedVerify } from './shared-verify.ts';

const SimSettings = Type.Object({
  hosts: Type.Optional(Type.Array(Type.String(), { description: 'host ids, separated by commas' })),
  seeds: Type.Optional(
    Type.Array(Type.String(), { secret: true, description: 'nkey seeds of the hosts, in their order' }),
  ),
  flows: Type.Integer({
    minimum: 0,
    maximum: 1_000_000,
    default: 0,
    description: 'flow events per second of each host',
  }),
  flowsTotal: Type.Optional(Type.Integer({ minimum: 1, description: 'flow events of each host, then no more' })),
  refusedEvery: Type.Optional(Type.Integer({ minimum: 1, description: 'each so-many-th flow was refused' })),
  processes: Type.Optional(Type.Integer({ minimum: 0, description: 'made-up processes that begin with each host' })),
});

/** A thousand agents must not ask for a thousand snapshots at once. */
const JITTER_MS = 2_000;

const log = logger('agent-sim');
const config = loadAgentConfig();
const sim = loadConfig(SimSettings, process.env, 'SIM');
const hosts = sim.hosts ?? [config.host];

const verify = hosts.length > 1 ? sharedVerify() : undefined;
const agents = await Promise.all(
  hosts.map((host, i) =>
    createAgent({
      config: {
        ...config,
        host,
        natsSeed: sim.seeds?.[i] ?? config.natsSeed,
        stateDir: join(config.stateDir, host),
        socket: i === 0 ? config.socket : undefined,
        metricsPort: i === 0 ? config.metricsPort : undefined,
      },
      platform: simulatedPlatform({
        flowsPerSecond: sim.flows,
        flowsTotal: sim.flowsTotal,
        refusedEvery: sim.refusedEvery,
        processesTotal: sim.processes,
      }),
      jitterMs: hosts.length > 1 ? JITTER_MS : undefined,
      verify,
    }),
  ),
);
log.info({ hosts: hosts.length }, 'ready');

const close = (): void => {
  Promise.all(agents.map((agent) => agent.close())).then(
    () => process.exit(0),
    () => process.exit(1),
  );
};
process.once('SIGTERM', close);
process.once('SIGINT', close);
