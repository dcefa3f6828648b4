// SPDX-License-Identifier: Apache-2.0
/** The agent of one host as a real process inside the host's namespace and cgroup; it can be ended and started again. */
import { join } from 'node:path';
import type { ControlPlane } from './control-plane.ts';
import { netnsPath } from './netns.ts';
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
  /** It mounts a bpffs of its own, which a test may unmount, instead of having a folder in the machine's. */
  readonly ownBpffs: boolean;
  /** Program to run; the sources' main.ts unless given. */
  readonly main?: string;
}

/** An emulated host may need a minute; an agent that cannot start ends and says so. */
const READY_MS = 240_000;
const AGENT_MAIN = new URL('../../services/agent/src/main.ts', import.meta.url).pathname;

export class AgentHandle {
  readonly host: string;
  readonly bpffs: string;
  readonly socket: string;
  /** Spool, state: what outlives the process. */
  readonly stateDir: string;
  /** Name of the namespace of its health endpoint. */
  readonly healthNetns: string;
  readonly #place: AgentPlace;
  #process: RunningProcess | undefined;

  constructor(place: AgentPlace) {
    this.#place = place;
    this.host = place.host.name;
    this.bpffs = place.ownBpffs ? join(place.dir, `bpf-${this.host}`) : `/sys/fs/bpf/weir-${place.fleet}-${this.host}`;
    this.socket = join(place.runDir, `agent-${this.host}.sock`);
    this.stateDir = join(place.dir, `agent-${this.host}`);
    this.healthNetns = `${place.host.netns}-health`;
    place.resources.add({ kind: 'netns', name: this.healthNetns });
    place.resources.add({ kind: 'bpffs', path: this.bpffs });
  }

  /** The one that was started last. */
  get process(): RunningProcess {
    if (!this.#process) throw new Error(`the agent of ${this.host} was never started`);
    return this.#process;
  }

  /** Resolves when it says that it is ready. `env`: on top of the fleet's, this time. `main`: another version's. */
  async start(env: Readonly<Record<string, string>> = {}, main = this.#place.main ?? AGENT_MAIN): Promise<void> {
    const { host, control, resources, logDir, cgroup } = this.#place;
    this.#process = await startProcess(resources, logDir, {
      name: `agent-${this.host}`,
      netns: host.netns,
      cgroup,
      command: [process.execPath, main],
      env: {
        WEIR_AGENT_HOST: host.name,
        WEIR_AGENT_NATS_URL: control.natsUrl,
        WEIR_AGENT_NATS_SEED: control.agentSeed(host.name),
        WEIR_TRUSTED_SIGNERS: control.trustedSigners,
        WEIR_AGENT_STATE_DIR: this.stateDir,
        WEIR_AGENT_BPFFS_DIR: this.bpffs,
        WEIR_AGENT_CGROUP: cgroup,
        WEIR_AGENT_HEALTH_NETNS: netnsPath(this.healthNetns),
        WEIR_AGENT_BGP_DIR: `${this.stateDir}/bgp`,
        WEIR_AGENT_UPLINK: host.uplink,
        WEIR_AGENT_SOCKET: this.socket,
        WEIR_AGENT_METRICS_PORT: '0',
        // Many hosts share one machine's memory here: 64k connections each instead of 512k.
        WEIR_AGENT_MAX_CONNTRACK: '65536',
        ...this.#place.env,
        ...env,
      },
      ready: (line) => line.includes('"msg":"ready"'),
      readyTimeoutMs: READY_MS,
    });
  }

  /** Ends the agent as a crash would (kill -9); the datapath stays. */
  kill(): Promise<void> {
    return this.process.stop('SIGKILL');
  }

  /** Asks it to end; the datapath stays. */
  stop(): Promise<void> {
    return this.process.stop('SIGTERM');
  }

  /** Stops it in its tracks, as a machine that is out of memory or CPU would. */
  pause(): void {
    process.kill(this.process.pid, 'SIGSTOP');
  }

  /** One that has ended, or did not start, has nothing to go on with. */
  resume(): void {
    if (this.process.alive()) process.kill(this.process.pid, 'SIGCONT');
  }
}
