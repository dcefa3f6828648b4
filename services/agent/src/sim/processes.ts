// SPDX-License-Identifier: Apache-2.0
/** Processes of a simulated host: so many images of one made-up child each of the first process, all with pids that follow. */
import { process_event, weir_process_flags } from '@weir/bpf';
import type { ProcessKind, ProcessRecord } from '@weir/bpf/process-events';
import type { ProcessPort } from '../processes/port.ts';

const FIRST = { pid: 1, exec_ns: 1n };
const FIRST_CHILD = 1_000;

const madeUp = (kind: ProcessKind, facts: Partial<process_event>, binary: string, args: string): ProcessRecord => ({
  kind,
  facts: { ...process_event.decode(Buffer.alloc(process_event.size)), ...facts },
  binary: Buffer.from(binary),
  cwd: Buffer.from('/'),
  args: Buffer.from(args),
  env: Buffer.alloc(0),
  isIncomplete: false,
});

export const madeUpProcesses = (total: number): ProcessPort => ({
  start: async ({ onRecords, onTrouble }) => {
    const children = Array.from({ length: total }, (_, at) => {
      const pid = FIRST_CHILD + at;
      const facts = { pid, exec_ns: BigInt(pid), parent_pid: FIRST.pid, parent_exec_ns: FIRST.exec_ns };
      return madeUp('exec', facts, '/usr/bin/made-up', `made-up\0${at}\0`);
    });
    const first = madeUp('seen', { ...FIRST, flags: weir_process_flags.PROCESS_OLD }, '/sbin/init', 'init\0');
    onRecords([first, ...children]).catch((error) => onTrouble('made-up processes could not be handed on', error));
    return { counters: () => ({ exec: BigInt(total) }), inspect: async () => [], stop: async () => {} };
  },
});
