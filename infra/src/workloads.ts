// SPDX-License-Identifier: Apache-2.0
/**
 * Workloads of a fleet: a namespace made here, the rest (interface, addresses, routes, programs) by the host's agent
 * once the workload is registered through the public API; then a real process inside, driven over its control socket.
 */
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { weirError } from '@weir/errors';
import type { Command } from '../workload/main.ts';
import type { ProbeRequest, ProbeResult } from '../workload/probe.ts';
import type { TickerReport, TickerRequest } from '../workload/ticker.ts';
import { makeCgroup, type RunningProcess, startProcess } from './processes.ts';
import { ip, type Resources } from './resources.ts';
import { makeNetns, netnsName } from './underlay.ts';

export interface WorkloadSpec {
  readonly name: string;
  readonly host: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly tcp?: readonly number[];
  readonly udp?: readonly number[];
  readonly ports?: readonly { name: string; port: number; protocol: string }[];
}

export interface WorkloadFacts extends RegisteredWorkload {
  readonly spec: WorkloadSpec;
  readonly netns: string;
  readonly process: RunningProcess;
  readonly control: string;
}

export class Workload implements WorkloadFacts {
  readonly spec: WorkloadSpec;
  readonly id: string;
  readonly netns: string;
  readonly ip4: string;
  readonly ip6: string;
  readonly identity: number;
  readonly process: RunningProcess;
  readonly control: string;

  constructor(facts: WorkloadFacts) {
    this.spec = facts.spec;
    this.id = facts.id;
    this.netns = facts.netns;
    this.ip4 = facts.ip4;
    this.ip6 = facts.ip6;
    this.identity = facts.identity;
    this.process = facts.process;
    this.control = facts.control;
  }

  probe(request: ProbeRequest): Promise<ProbeResult> {
    return this.#ask({ op: 'probe', ...request }) as Promise<ProbeResult>;
  }

  probes(list: readonly ProbeRequest[]): Promise<ProbeResult[]> {
    return this.#ask({ op: 'probes', list }) as Promise<ProbeResult[]>;
  }

  tickerStart(request: TickerRequest): Promise<TickerReport> {
    return this.#ask({ op: 'ticker-start', ...request }) as Promise<TickerReport>;
  }

  tickerReport(): Promise<TickerReport> {
    return this.#ask({ op: 'ticker-report' }) as Promise<TickerReport>;
  }

  tickerStop(): Promise<TickerReport> {
    return this.#ask({ op: 'ticker-stop' }) as Promise<TickerReport>;
  }

  #ask(command: Command): Promise<unknown> {
    return ask(this.control, command);
  }
}

const ask = (control: string, command: Command): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const socket = createConnection(control);
    socket.once('error', reject);
    createInterface({ input: socket }).once('line', (line) => {
      socket.end();
      const answer = JSON.parse(line) as { ok: true; value: unknown } | { ok: false; error: string };
      if (answer.ok) resolve(answer.value);
      else reject(weirError('INTERNAL', `workload could not ${command.op}: ${answer.error}`));
    });
    socket.write(`${JSON.stringify(command)}\n`);
  });

/** What inventory answers about a workload; fields used here. */
export interface RegisteredWorkload {
  readonly id: string;
  readonly ip4: string;
  readonly ip6: string;
  readonly identity: number;
}

export interface WorkloadPlace {
  readonly fleet: string;
  readonly resources: Resources;
  /** Short path (a socket's may have 107 bytes) for control sockets. */
  readonly runDir: string;
  readonly logDir: string;
  /** cgroup v2 folder of the workload's host. */
  readonly hostCgroup: string;
  readonly register: (body: Record<string, unknown>) => Promise<RegisteredWorkload>;
  readonly waitReady: (id: string) => Promise<void>;
}

export const prepareNetns = (place: WorkloadPlace, spec: WorkloadSpec): string => {
  const netns = netnsName(place.fleet, `w-${spec.namespace ?? 'default'}-${spec.name}`);
  makeNetns(place.resources, netns);
  ip('-n', netns, 'link', 'set', 'lo', 'up');
  return netns;
};

export const createWorkload = async (place: WorkloadPlace, spec: WorkloadSpec): Promise<Workload> => {
  const netns = prepareNetns(place, spec);
  const registered = await place.register({
    name: spec.name,
    namespace: spec.namespace ?? 'default',
    host: spec.host,
    labels: spec.labels ?? {},
    netns: `/run/netns/${netns}`,
    ...(spec.ports ? { ports: spec.ports } : {}),
  });
  await place.waitReady(registered.id);
  const control = join(place.runDir, `${registered.id}.sock`);
  const process_ = await startProcess(place.resources, place.logDir, {
    name: `workload-${registered.id}`,
    netns,
    cgroup: makeCgroup(place.resources, join(place.hostCgroup, registered.id)),
    command: [
      process.execPath,
      new URL('../workload/main.ts', import.meta.url).pathname,
      '--control',
      control,
      ...(spec.tcp?.length ? ['--tcp', spec.tcp.join(',')] : []),
      ...(spec.udp?.length ? ['--udp', spec.udp.join(',')] : []),
    ],
    ready: (line) => line === 'ready',
  });
  return new Workload({ spec, ...registered, netns, process: process_, control });
};
