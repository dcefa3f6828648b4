// SPDX-License-Identifier: Apache-2.0
/**
 * Records of the ring buffer `process_events`, as its reader hands them over, made into one object each: the pieces of
 * long arguments are put together. Bytes stay bytes: arguments and paths are what a process chose, and need not be UTF-8.
 */
import { weir_event_kind, weir_process_data } from './gen/enums.ts';
import { event_header, process_data_event, process_event } from './gen/structs.ts';

const { EVENT_PROCESS_DATA, EVENT_PROCESS_EXEC, EVENT_PROCESS_FORK, EVENT_PROCESS_EXIT, EVENT_PROCESS_SEEN } =
  weir_event_kind;

export type ProcessKind = 'exec' | 'fork' | 'exit' | 'seen';

const KINDS: Readonly<Record<number, ProcessKind>> = {
  [EVENT_PROCESS_EXEC]: 'exec',
  [EVENT_PROCESS_FORK]: 'fork',
  [EVENT_PROCESS_EXIT]: 'exit',
  [EVENT_PROCESS_SEEN]: 'seen',
};

export interface ProcessRecord {
  readonly kind: ProcessKind;
  readonly facts: process_event;
  readonly binary: Buffer;
  readonly cwd: Buffer;
  /** Strings with a NUL behind each; what could be had of them. */
  readonly args: Buffer;
  readonly env: Buffer;
  /** A piece of arguments or environment is missing, because the ring buffer was full. */
  readonly isIncomplete: boolean;
}

interface Pieces {
  readonly args: Buffer[];
  readonly env: Buffer[];
}

/** Of images whose event has not come; those whose event was lost are forgotten in this order. */
const PENDING_MAX = 256;

const NONE: Pieces = { args: [], env: [] };
const lengthOf = (pieces: readonly Buffer[]): number => pieces.reduce((sum, piece) => sum + piece.length, 0);

export class ProcessRecords {
  readonly #pending = new Map<string, Pieces>();

  /** `raw`: whole events, one after the other. What is returned refers to its bytes. */
  take(raw: Buffer): ProcessRecord[] {
    const records: ProcessRecord[] = [];
    for (let at = 0; at + event_header.size <= raw.length; ) {
      const { kind, size } = event_header.decode(raw, at);
      if (size < event_header.size || at + size > raw.length) {
        throw new RangeError(`an event at ${at} says that it has ${size} of ${raw.length} bytes`);
      }
      const name = KINDS[kind];
      if (kind === EVENT_PROCESS_DATA) this.#piece(raw, at);
      else if (name) records.push(this.#record(name, raw, at));
      at += size;
    }
    return records;
  }

  #piece(raw: Buffer, at: number): void {
    const { pid, exec_ns, what, length } = process_data_event.decode(raw, at);
    const key = `${pid}:${exec_ns}`;
    let pieces = this.#pending.get(key);
    if (!pieces) {
      const [oldest] = this.#pending.keys();
      if (this.#pending.size >= PENDING_MAX && oldest !== undefined) this.#pending.delete(oldest);
      pieces = { args: [], env: [] };
      this.#pending.set(key, pieces);
    }
    const from = at + process_data_event.size;
    (what === weir_process_data.PROCESS_DATA_ARGS ? pieces.args : pieces.env).push(raw.subarray(from, from + length));
  }

  #record(kind: ProcessKind, raw: Buffer, at: number): ProcessRecord {
    const facts = process_event.decode(raw, at);
    const key = `${facts.pid}:${facts.exec_ns}`;
    const before = this.#pending.get(key) ?? NONE;
    this.#pending.delete(key);
    let next = at + process_event.size;
    const part = (length: number): Buffer => {
      next += length;
      return raw.subarray(next - length, next);
    };
    const binary = part(facts.binary_length);
    const cwd = part(facts.cwd_length);
    const args = [...before.args, part(facts.args_length)];
    const env = [...before.env, part(facts.env_length)];
    return {
      ...{ kind, facts, binary, cwd },
      args: args.length === 1 && args[0] ? args[0] : Buffer.concat(args),
      env: env.length === 1 && env[0] ? env[0] : Buffer.concat(env),
      isIncomplete: lengthOf(args) < facts.args_sent || lengthOf(env) < facts.env_sent,
    };
  }
}
