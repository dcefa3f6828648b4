// SPDX-License-Identifier: Apache-2.0
/** Processes of this host, from the kernel to the bus: watched, known, numbered, spooled, published, accounted for. */
import { existsSync } from 'node:fs';
import type { Bus } from '@weir/bus';
import type { AgentConfig } from '../config.ts';
import { EventPump } from '../events/pump.ts';
import { spooledBoots } from '../events/spooled-boots.ts';
import type { Platform } from '../platform.ts';
import { type ProcessAccount, ProcessAccounts } from '../report/process-accounts.ts';
import type { Report } from '../report/report.ts';
import type { StateFile } from '../state-file.ts';
import { ProcessEvents } from './events.ts';
import { type Processes, type ProcessesOptions, watchProcesses } from './start.ts';

export interface ProcessReportingOptions {
  readonly config: AgentConfig;
  readonly platform: Platform;
  readonly boot: bigint;
  readonly spoolDir: string;
  readonly stateFile: StateFile;
  readonly report: () => Report;
  readonly netnsOf: ProcessesOptions['netnsOf'];
  readonly onTrouble: (what: string, cause: unknown) => void;
}

export interface ProcessReporting {
  /** Undefined until the programs are there, and where they are not wanted or the kernel refuses them. */
  readonly current: Processes | undefined;
  /** They are there, or will not be; never fails. */
  readonly ready: Promise<void>;
  /** Undefined where processes are not watched. */
  account(): ProcessAccount | undefined;
  /** Earlier runs of which something is still in the spool. */
  spooledBoots(): Promise<bigint[]>;
  /** That account has been told to the bus. */
  told(account: ProcessAccount | undefined): Promise<void>;
  connect(bus: Bus): void;
  disconnected(): void;
  reconnected(): void;
  tick(): void;
  stop(): Promise<void>;
}

const NOT_WATCHED: ProcessReporting = {
  current: undefined,
  ready: Promise.resolve(),
  account: () => undefined,
  spooledBoots: async () => [],
  told: async () => {},
  connect: () => {},
  disconnected: () => {},
  reconnected: () => {},
  tick: () => {},
  stop: async () => {},
};

export const reportProcesses = async (options: ProcessReportingOptions): Promise<ProcessReporting> => {
  const { config, platform, boot, spoolDir, stateFile, report, netnsOf, onTrouble } = options;
  // What an agent spooled that did watch is sent by one that does not.
  if (!platform.processes && !existsSync(spoolDir)) return NOT_WATCHED;
  let events: ProcessEvents | undefined;
  const pump = await EventPump.start({
    host: config.host,
    boot,
    kind: 'process',
    spoolDir,
    spoolMaxBytes: config.processSpoolMaxBytes,
    source: (made) => {
      events = new ProcessEvents(made);
      return events;
    },
    onTrouble,
  });
  const { host, tetragonSocket: socket } = config;
  // gRPC is as much code as half an agent: read only where a client is expected.
  const sensors = socket
    ? await (await import('../tetragon/serve.ts')).serveSensors(
        { host, socket },
        { ...{ report, features: platform.features, onTrouble }, cache: () => watch.current?.cache },
      )
    : undefined;
  const watch: ReturnType<typeof watchProcesses> = watchProcesses(platform, config, {
    netnsOf,
    onEvents: async (encoded) => {
      sensors?.publish(encoded);
      await events?.add(encoded);
    },
    onTrouble,
  });
  const accounts = new ProcessAccounts({
    counters: () => watch.current?.counters(),
    nextSeq: () => pump.nextSeq,
    spool: () => pump.stats(),
    stateFile,
  });
  return {
    get current() {
      return watch.current;
    },
    ready: watch.ready,
    account: () => accounts.read(),
    spooledBoots: () => spooledBoots(spoolDir, boot),
    told: async (account) => account && accounts.told(account),
    connect: (bus) => pump.connect(bus),
    disconnected: () => pump.disconnected(),
    reconnected: () => pump.reconnected(),
    tick: () => pump.tick(),
    stop: async () => {
      await sensors?.close();
      await watch.stop();
      await pump.stop();
    },
  };
};
