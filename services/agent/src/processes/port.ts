// SPDX-License-Identifier: Apache-2.0
/** What the agent knows of processes, and the door to the kernel's side of it (apply/kernel/processes.ts). */
import type { ProcessRecord } from '@weir/bpf/process-events';

export interface ProcessReader {
  /** Of programs, by enum weir_process_counter: `exec`, `lost_exec` and so on; since the maps were made. */
  counters(): Readonly<Record<string, bigint>>;
  /** Puts back pins that somebody removed; says which. */
  inspect(): Promise<readonly string[]>;
  /** Hands over what waits, then ends. The programs stay, and with them the map of processes. */
  stop(): Promise<void>;
}

export interface ProcessPort {
  /** Programs in the place of an earlier agent's; every process that runs is told once, as `seen`. */
  start(options: {
    /** Nothing more is read while too many are unsettled. */
    readonly onRecords: (records: readonly ProcessRecord[]) => Promise<void>;
    readonly onTrouble: (what: string, cause: unknown) => void;
  }): Promise<ProcessReader>;
}
