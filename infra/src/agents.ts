// SPDX-License-Identifier: Apache-2.0
/** The agent of one host as a real process inside the host's namespace and cgroup. */
import { join } from 'node:path';
import type { ControlPlane } from './control-plane.ts';
import { type RunningProcess, startProcess } from './processes.ts';
import type { Resources } from './resources.ts';
import type { UnderlayHost } from './underlay.ts';

export interface AgentPlace {
  readonly fleet: string;
  readonly resources: Resources;
  readonly dir: string;
  readonly runDir: string;
  readonly logDir: string;
  readonly host: UnderlayHost;
  readonly cgroup: string;
  readonly control: ControlPlane;
  readonly env: Readonly<Record<string, string>>;
}

export interface AgentHandle {
  readonly host: string;
  readonly bpffs: string;
  readonly socket: string;
  readonly process: RunningProcess;
  /** Ends the agent as a crash would; the datapath stays. */
  kill(): Promise<void>;
  /** Asks it to end; the datapath stays. */
  stop(): Promise<void>;
}

const AGENT_MAIN = new URL('../../services/agent/src/main.ts', import.meta.url).pathname;

export const startAgent = async (place: AgentPlace): Promise<AgentHandle> => {
  const { host } = place;
  const bpffs = `/sys/fs/bpf/weir-${place.fleet}-${host.name}`;
  const socket = join(place.runDir, `agent-${host.name}.sock`);
  place.resources.add({ kind: 'bpffs', path: bpffs });
  const process_ = await startProcess(place.resources, place.logDir, {
    name: `agent-${host.name}`,
    netns: host.netns,
    cgroup: place.cgroup,
    command: [process.execPath, AGENT_MAIN],
    env: {
      WEIR_AGENT_HOST: host.name,
      WEIR_AGENT_NATS_URL: place.control.natsUrl,
      WEIR_AGENT_NATS_SEED: place.control.agentSeed(host.name),
      WEIR_TRUSTED_SIGNERS: place.control.trustedSigners,
      WEIR_AGENT_STATE_DIR: join(place.dir, `agent-${host.name}`),
      WEIR_AGENT_BPFFS_DIR: bpffs,
      WEIR_AGENT_CGROUP: place.cgroup,
      WEIR_AGENT_UPLINK: host.uplink,
      WEIR_AGENT_SOCKET: socket,
      WEIR_AGENT_METRICS_PORT: '0',
      // Many hosts share one machine's memory here: 64k connections each instead of 512k.
      WEIR_AGENT_MAX_CONNTRACK: '65536',
      ...place.env,
    },
    ready: (line) => line.includes('"msg":"ready"'),
  });
  return {
    host: host.name,
    bpffs,
    socket,
    process: process_,
    kill: () => process_.stop('SIGKILL'),
    stop: () => process_.stop('SIGTERM'),
  };
};
