// SPDX-License-Identifier: Apache-2.0
/** Records of the ring buffer `runtime_events` made into calls. Bytes stay bytes: a process chose them. */
import {
  event_header,
  runtime_address,
  runtime_event,
  type runtime_value,
  weir_event_kind,
  weir_runtime_action,
  weir_runtime_value,
  weir_runtime_value_flags,
} from '@weir/bpf';
import { formatIp } from '@weir/net';

export type RuntimeValue =
  /** It could not be read. */
  | { readonly kind: 'none' }
  /** The register, 64 bits without a sign. */
  | { readonly kind: 'number'; readonly value: bigint }
  | { readonly kind: 'text'; readonly bytes: Buffer; readonly isCut: boolean }
  | { readonly kind: 'path'; readonly bytes: Buffer; readonly mode: number; readonly isCut: boolean }
  | { readonly kind: 'unix'; readonly bytes: Buffer }
  | { readonly kind: 'address'; readonly family: number; readonly address: string; readonly port: number };

/** What the kernel told of one call. */
export interface RawCall {
  readonly serial: number;
  readonly execNs: bigint;
  readonly pid: number;
  readonly tid: number;
  /** -1: the hook has none. */
  readonly selector: number;
  readonly site: number;
  /** A signal that was sent, or with `isMonitored` would have been; 0: none. */
  readonly signal: number;
  readonly isMonitored: boolean;
  /** Told when the call had returned; undefined: when it began. */
  readonly result: bigint | undefined;
  readonly resultValue: RuntimeValue;
  readonly values: readonly RuntimeValue[];
  /** CLOCK_MONOTONIC, ns. */
  readonly beganNs: bigint;
}

/** With what the agent knows of the hook. */
export interface RuntimeCall extends RawCall {
  readonly policy: string;
  readonly hook: string;
  /** The name of what was called. */
  readonly call: string;
  readonly message?: string;
  readonly tags: readonly string[];
}

const { RUNTIME_VALUE_NUMBER, RUNTIME_VALUE_TEXT, RUNTIME_VALUE_PATH, RUNTIME_VALUE_UNIX, RUNTIME_VALUE_ADDRESS } =
  weir_runtime_value;

const readValue = ({ kind, number, at, length, flags }: runtime_value, data: Buffer): RuntimeValue => {
  const isCut = (flags & weir_runtime_value_flags.RUNTIME_VALUE_CUT) !== 0;
  const bytes = data.subarray(at, at + length);
  switch (kind) {
    case RUNTIME_VALUE_NUMBER:
      return { kind: 'number', value: number };
    case RUNTIME_VALUE_TEXT:
      return { kind: 'text', bytes: Buffer.from(bytes), isCut };
    case RUNTIME_VALUE_PATH:
      return { kind: 'path', bytes: Buffer.from(bytes), mode: Number(number), isCut };
    case RUNTIME_VALUE_UNIX:
      return { kind: 'unix', bytes: Buffer.from(bytes) };
    case RUNTIME_VALUE_ADDRESS: {
      const { family, port } = runtime_address.decode(data, at);
      const offset = at + runtime_address.offsets.address;
      return { kind: 'address', family, address: formatIp(data.subarray(offset, offset + 16)), port };
    }
    default:
      return { kind: 'none' };
  }
};

/** `raw`: whole events, one after the other. What is returned is a copy. */
export const decodeCalls = (raw: Buffer): RawCall[] => {
  const calls: RawCall[] = [];
  for (let at = 0; at + event_header.size <= raw.length; ) {
    const { kind, size } = event_header.decode(raw, at);
    if (size < event_header.size || at + size > raw.length)
      throw new RangeError(`an event at ${at} says that it has ${size} of ${raw.length} bytes`);
    if (kind === weir_event_kind.EVENT_RUNTIME_CALL) {
      const event = runtime_event.decode(raw, at);
      const data = raw.subarray(at + runtime_event.size, at + size);
      calls.push({
        serial: event.serial,
        execNs: event.exec_ns,
        pid: event.pid,
        tid: event.tid,
        selector: event.selector,
        site: event.site,
        signal: event.signal,
        isMonitored: (event.actions & weir_runtime_action.RUNTIME_ACTION_MONITORED) !== 0,
        result: event.returned ? event.result : undefined,
        resultValue: readValue(event.result_value, data),
        values: event.values.slice(0, event.values_count).map((value) => readValue(value, data)),
        beganNs: event.began_ns,
      });
    }
    at += size;
  }
  return calls;
};
