// SPDX-License-Identifier: Apache-2.0
/**
 * A place that asks and answers with real sockets: the inside of a workload, a peer in the outside world, a host
 * itself. Its program (workload/native, a static binary of a megabyte) runs in a network namespace and a cgroup.
 */
import { randomInt } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { type RunningProcess, startProcess } from './processes.ts';
import type { Resources } from './resources.ts';
import { type Fields, StationControl } from './station-control.ts';
import type { DriveReport, HoldRequest, Listening, OpenRequest, ProbeRequest, ProbeResult, Served } from './traffic.ts';

export const WORKLOAD_BINARY = new URL('../workload/build/weir-workload', import.meta.url).pathname;

export interface StationProgram {
  readonly process: RunningProcess;
  readonly control: StationControl;
}

export interface ProgramPlace {
  readonly resources: Resources;
  readonly logDir: string;
  readonly name: string;
  /** Path of the control socket; at most 107 bytes. */
  readonly control: string;
  /** Name of a namespace below /run/netns. */
  readonly netns: string;
  readonly cgroup?: string;
}

/** The program enters the namespace and the cgroup itself, before it opens anything there. */
export const startProgram = async (place: ProgramPlace): Promise<StationProgram> => {
  const { resources, logDir, name, control, netns, cgroup } = place;
  const process = await startProcess(resources, logDir, {
    name,
    command: [
      WORKLOAD_BINARY,
      ...(cgroup === undefined ? [] : ['--cgroup', cgroup]),
      '--netns',
      `/run/netns/${netns}`,
      '--control',
      control,
    ],
    ready: (line) => line === 'ready',
  });
  return { process, control: new StationControl(control) };
};

/** Traffic that goes on. */
export class Drive {
  readonly #control: StationControl;
  readonly #name: string;

  constructor(control: StationControl, name: string) {
    this.#control = control;
    this.#name = name;
  }

  report(): Promise<DriveReport> {
    return this.#control.ask('report', { name: this.#name });
  }

  /** `drainMs`: how long answers to what was sent are still counted, unless all have come before. */
  stop({ drainMs = 0 }: { readonly drainMs?: number } = {}): Promise<DriveReport> {
    return this.#control.ask('stop', { name: this.#name, drain: drainMs });
  }
}

/** Where a station's questions come from, when its namespace has several addresses. */
export interface Sources {
  readonly ip4?: string;
  readonly ip6?: string;
}

const probeFields = (request: ProbeRequest, sources: Sources): Fields => ({
  proto: request.protocol,
  host: request.host,
  port: request.port,
  timeout: request.timeoutMs,
  bytes: request.payloadBytes,
  local: request.localPort,
  source: isIPv6(request.host) ? sources.ip6 : sources.ip4,
});

/** Names of drives: a station that becomes a workload keeps its program. */
let drives = 0;

export class Station {
  readonly process: RunningProcess;
  readonly control: StationControl;
  readonly #sources: Sources;

  constructor({ process, control }: StationProgram, sources: Sources = {}) {
    this.process = process;
    this.control = control;
    this.#sources = sources;
  }

  /** Serves echo on these ports too. */
  async listen({ tcp = [], udp = [], sctp = [], associations = [] }: Listening): Promise<void> {
    const ports = (list: readonly number[]) => (list.length === 0 ? undefined : list.join(','));
    await this.control.ask('listen', {
      tcp: ports(tcp),
      udp: ports(udp),
      sctp: ports(sctp),
      associations: ports(associations),
    });
  }

  probe(request: ProbeRequest): Promise<ProbeResult> {
    return this.control.ask('probe', probeFields(request, this.#sources));
  }

  probes(list: readonly ProbeRequest[]): Promise<ProbeResult[]> {
    return Promise.all(list.map((request) => this.probe(request)));
  }

  /**
   * Sends an ICMP message that nobody answers, and asks the station that it is meant for whether it came: for types
   * other than echo.
   */
  async deliver(
    to: Station,
    { type, host, timeoutMs }: { readonly type: number; readonly host: string; readonly timeoutMs: number },
  ): Promise<ProbeResult> {
    const token = randomInt(1, 2 ** 40);
    const arrived = to.control.ask<ProbeResult>('await', { token, timeout: timeoutMs });
    const sent = this.control.ask<ProbeResult>('probe', {
      ...probeFields({ protocol: 'icmp', host, timeoutMs }, this.#sources),
      type,
      token,
    });
    const [answer, { outcome }] = await Promise.all([arrived, sent]);
    return outcome === 'sent' || answer.ok ? answer : { ...answer, outcome };
  }

  /** Settles when all connections are there; rejects when one does not come about. */
  async hold(request: HoldRequest): Promise<Drive> {
    return this.#start({
      kind: 'hold',
      ...probeFields({ protocol: 'tcp', ...request }, this.#sources),
      count: request.connections,
      tick_us: Math.round(request.tickMs * 1_000),
      stall: request.stallMs,
    });
  }

  async open(request: OpenRequest): Promise<Drive> {
    return this.#start({
      kind: 'open',
      ...probeFields(request, this.#sources),
      count: request.count ?? 1,
      tick_us: Math.round(request.tickMs * 1_000),
      stall: request.stallMs,
      at_link_up: request.atLinkUp ? 1 : undefined,
      until_answered: request.untilAnswered ? 1 : undefined,
    });
  }

  served(): Promise<Served> {
    return this.control.ask('served');
  }

  /** Sends a frame as it is, from its Ethernet header on: what somebody does who has root there. */
  async frame(networkInterface: string, bytes: Buffer): Promise<void> {
    await this.control.ask('frame', { interface: networkInterface, hex: bytes.toString('hex') });
  }

  /** Ends its program. */
  async end(): Promise<void> {
    this.control.close();
    await this.process.stop('SIGKILL');
  }

  async #start(fields: Fields): Promise<Drive> {
    const name = `drive${++drives}`;
    await this.control.ask('start', { name, ...fields });
    return new Drive(this.control, name);
  }
}
