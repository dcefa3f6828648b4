// SPDX-License-Identifier: Apache-2.0
/** The local API of an agent, as an operator on its host asks it. */
import { request } from 'node:http';

/** Path of the agent's socket. */
interface AgentDoor {
  readonly socket: string;
}

const ask = (agent: AgentDoor, path: string, method = 'GET'): Promise<string> =>
  new Promise((resolve, reject) => {
    const call = request({ socketPath: agent.socket, path, method, timeout: 10_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => (response.statusCode === 200 ? resolve(text) : reject(new Error(`${path}: ${text}`))));
    });
    call.on('error', reject);
    call.end();
  });

export interface AgentThrottle {
  readonly workload: string;
  readonly episodes: number;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly events: number;
}

export interface AgentStatus {
  readonly errors: readonly { readonly message: string }[];
  readonly workloads: { readonly ready: number; readonly total: number };
  readonly flows: { readonly produced: number; readonly lost_ring: number; readonly lost_throttle: number };
  readonly throttles: readonly AgentThrottle[];
  readonly repairs: { readonly total: number; readonly recent: readonly { readonly problem: string }[] };
  readonly counters: Readonly<Record<string, number>>;
  readonly maps: {
    readonly used: Readonly<Record<string, number>>;
    readonly capacity: Readonly<Record<string, number>>;
  };
}

export interface AgentWorkload {
  readonly id: string;
  readonly state: string;
  readonly message: string;
}

const numbers = (_: string, value: unknown): unknown =>
  typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;

export const agentStatus = async (agent: AgentDoor): Promise<AgentStatus> =>
  JSON.parse(await ask(agent, '/status'), numbers) as AgentStatus;

export const agentWorkloads = async (agent: AgentDoor): Promise<readonly AgentWorkload[]> =>
  (JSON.parse(await ask(agent, '/workloads')) as { items: AgentWorkload[] }).items;

/** Sum of the metric's samples whose labels contain all that is given; 0 when there is none. */
export const agentMetric = async (
  agent: AgentDoor,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> => {
  const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  const answer = await ask(agent, '/metrics');
  const text = answer.startsWith('"') ? (JSON.parse(answer) as string) : answer;
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => wanted.every((label) => line.includes(label)))
    .map((line) => Number(/^[^ {]+(?:\{.*\})? (\S+)/.exec(line)?.[1]))
    .reduce((sum, value) => sum + value, 0);
};

/** A backend that the agent asks whether it serves. */
export interface AgentCheck {
  readonly service: string;
  readonly address: string;
  readonly health: 'healthy' | 'unhealthy' | 'unknown';
  /** Unix milliseconds of the probe that decided it. */
  readonly decided_ms: number | null;
  readonly last_failure: string | null;
}

export const agentChecks = async (agent: AgentDoor): Promise<readonly AgentCheck[]> =>
  (JSON.parse(await ask(agent, '/checks')) as { items: AgentCheck[] }).items;

/** What the kernel holds of load balancing. */
export interface AgentServices {
  readonly items: readonly {
    readonly service: string | null;
    readonly address: string;
    readonly port: number;
    readonly active: readonly string[];
  }[];
}

export const agentServices = async (agent: AgentDoor): Promise<AgentServices> =>
  JSON.parse(await ask(agent, '/services')) as AgentServices;

/** The host's own policy, as its agent has it. */
export interface AgentHostFirewall {
  readonly state: 'none' | 'pending' | 'confirmed' | 'undone' | 'open';
  readonly seconds_left: number | null;
  readonly undone: { readonly why: string } | null;
  readonly history: readonly { readonly act: string; readonly by: string; readonly why: string }[];
}

export const agentHostFirewall = async (agent: AgentDoor): Promise<AgentHostFirewall> =>
  JSON.parse(await ask(agent, '/host-firewall')) as AgentHostFirewall;

/** `action`: confirm, undo, open?seconds=, close. */
export const askHostFirewall = async (agent: AgentDoor, action: string): Promise<AgentHostFirewall> =>
  JSON.parse(await ask(agent, `/host-firewall/${action}`, 'POST')) as AgentHostFirewall;
